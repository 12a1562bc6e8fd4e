// Has one worker give its connections to another, and once more when that one dies or has no room for the moment, until
// nothing is left that can be moved.
import type { Logger } from '../../observe/logger.ts';
import type { MovePeer } from './move-relay.ts';
import type { OrderedMoves } from './ordered-moves.ts';

interface MoveAwayDeps {
  readonly moves: Pick<OrderedMoves, 'run'>;
  readonly logger: Logger;
  readonly pause: (ms: number) => Promise<void>;
}

interface MoveAwayOrder {
  readonly from: MovePeer;
  /** The one that is to have them, as things are now; undefined while there is none. */
  readonly target: () => MovePeer | undefined;
  readonly isStopped: () => boolean;
  /** `moved` in all attempts together. */
  readonly onReport: (moved: number, left: number) => void;
}

/** Orders to the same worker, when its target dies in between or does not take connections. */
const ATTEMPTS = 5;
/** Between two of them: descriptors that were all in use may be free again. */
const REFUSED_PAUSE_MS = 1000;
/** A worker that has died is replaced in about a second; a busy machine takes longer. */
const LOOK_PAUSE_MS = 250;
const LOOKS = 60;

/** Resolves to why connections do not get through at all; empty when what is left is left because of its clients. */
export async function moveAway(
  deps: MoveAwayDeps,
  { from, target, isStopped, onReport }: MoveAwayOrder,
): Promise<string> {
  const { moves, logger, pause } = deps;
  const isOver = (): boolean => isStopped() || !from.connected;
  let movedBefore = 0;
  let refusal = '';
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    let to = target();
    for (let look = 1; to === undefined && look <= LOOKS && !isOver(); look += 1) {
      await pause(LOOK_PAUSE_MS);
      to = target();
    }
    if (isOver()) return '';
    if (to === undefined) return 'there is no worker that could have its connections';
    const before = movedBefore;
    const report = await moves.run(from, to, ({ moved, left }) => onReport(before + moved, left));
    movedBefore += report.moved;
    if (report.left === 0 || isOver()) return '';
    logger.warn({ pid: from.pid, left: report.left, reason: report.ended }, 'not all connections were moved');
    refusal = report.ended ?? '';
    if (report.refused) await pause(REFUSED_PAUSE_MS);
    // Where the target lives, more attempts would end alike.
    else if (to.connected && target() === to) return '';
  }
  return isOver() ? '' : refusal;
}

/** The one of the same number or, where there is none, another one: always the same. */
export function targetFor<Peer extends { readonly slot: number; readonly connected: boolean }>(
  slot: number,
  peers: readonly Peer[],
): Peer | undefined {
  const ready = peers.filter(({ connected }) => connected);
  return ready.find((peer) => peer.slot === slot) ?? ready[slot % Math.max(1, ready.length)];
}
