// Many who want the same thing done from now on share the rounds of it: whoever asks during one waits for the next.
import { pause } from '../util/pause.ts';

/** `restMs`: between two rounds, so that many who ask one after the other do not make as many rounds. */
export function sharedRounds(run: () => Promise<void>, restMs: number): () => Promise<void> {
  /** Ends when another one may begin. */
  let busy: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const rest = async (round: Promise<void>): Promise<void> => {
    await round.catch(() => undefined);
    await pause(restMs);
    busy = undefined;
  };
  const begin = (): Promise<void> => {
    const round = run();
    busy = rest(round);
    return round;
  };
  return () => {
    if (busy === undefined) return begin();
    next ??= busy.then(() => {
      next = undefined;
      return begin();
    });
    return next;
  };
}
