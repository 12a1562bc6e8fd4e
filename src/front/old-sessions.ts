// What an HAProxy process of before a reload still carries, and how that is ended: one after the other, so that clients come back
// spread over time instead of all at once when the process ends.
import type { Clock } from '../util/clock.ts';
import { pause } from '../util/pause.ts';
import { fullBucket, takeToken } from '../util/token-bucket.ts';
import type { MasterSocket } from './master-socket.ts';

/** Ended with one command, at most; HAProxy reads 16 kB of commands at a time. */
const MAX_BATCH = 100;
/** Between two batches. No more than one beat's worth is made up for after a stall of our own. */
const BEAT_MS = 100;
/** Until it is looked again whether young requests have ended by themselves. */
const LOOK_AGAIN_MS = 500;

export interface EndingProgress {
  readonly state: 'ending';
  readonly process: number;
  readonly ended: number;
  readonly left: number;
  readonly leftMs: number;
}

export interface EndingDeps {
  readonly clock: Clock;
  readonly master: MasterSocket;
  readonly onProgress: (progress: EndingProgress) => void;
}

/** Ids of a process's sessions, from `show sess`. Not of those that ask: they are on GLOBAL. */
async function* sessionsOf(master: MasterSocket, pid: number): AsyncGenerator<{ id: string; age: string }> {
  for await (const line of master.lines(`@!${pid} show sess`)) {
    const [, id, frontend, age] = /^(0x[\da-f]+): .*? fe=(\S+) .*? age=(\S+)/.exec(line) ?? [];
    if (id !== undefined && age !== undefined && frontend !== 'GLOBAL') yield { id, age };
  }
}

/** A request that has just begun: most of them end by themselves. Websockets of two seconds may wait for their turn. */
function isYoung(age: string): boolean {
  return age === '0s' || age === '1s';
}

/** Ends what the process has, `perSecond` at most; resolves to how many that were. Aborted, the rest stays as it is. */
export async function endSessions(
  { clock, master, onProgress }: EndingDeps,
  pid: number,
  perSecond: number,
  signal: AbortSignal,
): Promise<number> {
  const rate = { perSecond, burst: Math.max(1, (perSecond * BEAT_MS) / 1000) };
  const bucket = fullBucket(rate, clock.monotonicMs());
  const mayEnd = (): boolean => takeToken(bucket, rate, clock.monotonicMs());
  let ended = 0;
  for (;;) {
    const ids: string[] = [];
    let young = 0;
    for await (const { id, age } of sessionsOf(master, pid)) {
      if (isYoung(age)) young += 1;
      else ids.push(id);
    }
    if (ids.length + young === 0) return ended;
    while (ids.length > 0) {
      if (signal.aborted) return ended;
      const batch: string[] = [];
      while (batch.length < Math.min(MAX_BATCH, ids.length) && mayEnd()) batch.push(ids[batch.length] ?? '');
      if (batch.length > 0) {
        const answer = await master.askProcess(pid, ...batch.map((id) => `shutdown session ${id}`));
        if (answer === undefined) return ended;
        ids.splice(0, batch.length);
        ended += batch.length;
        const left = ids.length + young;
        onProgress({ state: 'ending', process: pid, ended, left, leftMs: (left / perSecond) * 1000 });
      }
      if (ids.length > 0) await pause(Math.max(BEAT_MS, 500 / perSecond), signal);
    }
    if (signal.aborted) return ended;
    await pause(LOOK_AGAIN_MS, signal);
  }
}

/** How many sessions the process has now. */
export async function countSessions(master: MasterSocket, pid: number): Promise<number> {
  let count = 0;
  for await (const { id } of sessionsOf(master, pid)) count += id === '' ? 0 : 1;
  return count;
}
