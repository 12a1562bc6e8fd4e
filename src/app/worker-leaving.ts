// How a worker leaves: told to, hurried, or because its primary is gone. Its connections first, then everything it has made.
import type { WorkerLink } from '../cluster/worker-link.ts';
import type { Config } from '../config/schema.ts';
import { ConnectionDrain } from '../gateway/connection-drain.ts';
import type { OpenConnections } from '../gateway/open-connections.ts';
import type { Orders } from '../hub/control-orders.ts';
import type { Logger } from '../observe/logger.ts';
import type { Clock } from '../util/clock.ts';
import type { WorkerMoves } from './worker-moves.ts';

export interface WorkerLeavingDeps {
  readonly link: WorkerLink;
  readonly log: Logger;
  readonly clock: Clock;
  readonly open: OpenConnections;
  readonly orders: Orders;
  readonly moves: WorkerMoves;
  /** Takes down what the worker is made of, when its connections are gone. */
  readonly end: () => Promise<void>;
}

export function leaveWhenTold(
  { link, log, clock, open, orders, moves, end }: WorkerLeavingDeps,
  config: Config,
): void {
  const drain = new ConnectionDrain({
    connections: open,
    nowMs: () => clock.monotonicMs(),
    onProgress: (remaining, ordered) => link.reportDraining(remaining, ordered),
    onDone: () => void end(),
  });
  const leave = (durationMs: number): void => {
    orders.abandon();
    drain.start(durationMs);
  };
  link.onDrain(({ durationMs }) => leave(durationMs));
  link.onCloseSome((count) => drain.closeSome(count));
  link.onHurry(() => leave(0));
  link.onStop(() => leave(0));
  const { orphan_timeout: overMs } = config.handoff;
  link.onOrphaned(overMs, () => {
    log.error({ connections: open.size, overMs }, 'the primary is gone: connections are closed over time');
    moves.abandon();
    leave(overMs);
  });
}
