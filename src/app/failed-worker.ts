// The end of a worker that could not start.
import { HoldfastError } from '../util/errors.ts';

/** For what was said to the primary to leave. */
const LAST_WORDS_MS = 1_000;

/** The primary has been told the reason and logs it; a trace helps where code threw, not where the system refused. */
export function endFailedWorker(error: unknown): void {
  if (!(error instanceof HoldfastError)) throw error;
  const { cause } = error;
  if (cause instanceof Error && !('syscall' in cause)) process.stderr.write(`${cause.stack}\n`);
  process.once('disconnect', () => process.exit(1));
  setTimeout(() => process.exit(1), LAST_WORDS_MS);
}
