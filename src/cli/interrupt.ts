// Ctrl-C and SIGTERM as an AbortSignal, for commands that run until somebody ends them.

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Runs with a signal that aborts on the first Ctrl-C; a second one ends the process as usual. */
export async function interruptible(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  for (const name of SIGNALS) process.once(name, abort);
  try {
    await run(controller.signal);
  } finally {
    for (const name of SIGNALS) process.off(name, abort);
  }
}
