// Ties together what gives connections of this worker to another one, and what takes those of others.
import type { WorkerLink } from '../cluster/worker-link.ts';
import { slotKey } from '../commands/subscribe.ts';
import type { CommandDeps } from '../commands/command-deps.ts';
import type { Config } from '../config/schema.ts';
import type { Connection } from '../connection/connection.ts';
import type { OpenConnections } from '../gateway/open-connections.ts';
import { MoveIn } from '../handoff/move-in.ts';
import { MoveOut } from '../handoff/move-out.ts';
import { sharedRounds } from '../handoff/shared-rounds.ts';
import { isPeerMessage } from '../handoff/peer-messages.ts';
import type { HotCounters } from '../observe/hot-counters.ts';
import { isConnectionHandle } from '../util/native-handle.ts';
import type { ClientTransports } from './worker-transports.ts';

/** A connection that moves may wait for it twice. */
const SETTLE_REST_MS = 4;

export interface WorkerMovesDeps {
  readonly link: WorkerLink;
  readonly open: OpenConnections;
  readonly commands: CommandDeps;
  readonly transports: ClientTransports;
  readonly counters: HotCounters;
  readonly settle: () => Promise<void>;
}

export interface WorkerMoves {
  /** The primary is gone: what is on its way belongs to nobody for sure. */
  abandon(): void;
}

export function workerMoves(deps: WorkerMovesDeps, config: Config): WorkerMoves {
  const { link, open, commands, transports, counters } = deps;
  const settle = sharedRounds(deps.settle, SETTLE_REST_MS);
  const { hub, presence, clock, log, node, userConnections, userSubscriptions } = commands;
  const onGone = (connection: Connection): void => {
    open.forsake(connection);
    handOverSlots(commands, connection);
  };
  const moveOut = new MoveOut(
    {
      link,
      hub,
      clock,
      log,
      settle,
      counters,
      connections: () => open.all(),
      onGone,
      observePause: (seconds) => counters.movePause.observe(seconds),
    },
    { idleTimeoutMs: config.handoff.reply_timeout, patienceMs: config.handoff.patience },
  );
  const moveIn = new MoveIn({
    link,
    hub,
    presence,
    log,
    node,
    settle,
    userConnections,
    userSubscriptions,
    upgrades: transports.upgrades,
    opener: transports.opener,
    onGone,
    onLost: () => {
      counters.moves.cell('lost').value += 1;
    },
  });
  link.onMoves({
    move: (order) => void moveOut.move(order),
    stop: () => moveOut.stop('stopped'),
    parked: (id) => moveOut.parked(id),
    moved: (id, at) => moveOut.moved(id, at),
    notMoved: (id, reason) => moveOut.notMoved(id, reason),
    take: (move, payload, handle) =>
      moveIn.take(move, payload, isConnectionHandle(handle) ? handle : undefined),
    peer: (from, body) => {
      if (!isPeerMessage(body)) return;
      moveOut.onPeer(body);
      moveIn.onPeer(from, body);
    },
    peerGone: (from) => {
      moveIn.forget(from);
      moveOut.onPeerGone(from);
    },
  });
  return {
    abandon: () => {
      moveOut.abandon();
      moveIn.abandon();
    },
  };
}

/** What counts for its user counts at the other worker from now on. */
function handOverSlots(
  { userConnections, userSubscriptions }: CommandDeps,
  { session: { user, client }, subscriptions }: Connection,
): void {
  if (user === '') return;
  userConnections?.handOver(user, client);
  for (const { state } of subscriptions.values()) {
    if (!state.serverSide) userSubscriptions?.handOver(user, slotKey(client, state.channel));
  }
}
