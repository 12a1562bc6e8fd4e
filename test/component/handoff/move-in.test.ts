// Connections that arrive and of which the primary never hears: nothing of them stays.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import { clientTransports } from '../../../src/app/worker-transports.ts';
import { configSchema } from '../../../src/config/schema.ts';
import { Admission } from '../../../src/gateway/admission.ts';
import { EmulatedSessions } from '../../../src/gateway/emulated-sessions.ts';
import { OpenConnections } from '../../../src/gateway/open-connections.ts';
import { MoveIn, type MoveInLink } from '../../../src/handoff/move-in.ts';
import { encodeConnection } from '../../../src/handoff/payload.ts';
import { Departure } from '../../../src/hub/departures.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { freeze } from '../../../src/util/native-handle.ts';
import { Core } from '../../helpers/core-harness.ts';
import { portOf } from '../../helpers/port-of.ts';
import type { Scope } from '../../helpers/scope.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const FROM = 7;
const FACTS = {
  kind: 'websocket',
  encoding: 'json',
  hasNativePing: false,
  subprotocol: '',
  compresses: false,
} as const;
const NOTHING = { open: 0, connections: 0, users: 0, subscriptions: 0 };

/** A worker that takes up one connection, which is subscribed to a channel. */
async function takeUp(scope: Scope, tell: MoveInLink['arrived']) {
  const core = await Core.start(scope, {
    client: { insecure: true },
    channel: { without_namespace: { allow_subscribe_for_client: true } },
  });
  const binding = { bindSid: () => undefined, unbindSid: () => undefined };
  const emulated = new EmulatedSessions();
  const open = new OpenConnections(core.shared.owner, binding, emulated);
  const nobody = { openConnections: () => 0, isDraining: () => false, isOverloaded: () => false };
  const { upgrades, opener } = clientTransports(
    {
      shared: { ...core.shared, owner: open },
      emulated,
      admission: new Admission({ nowMs: () => 0, ...nobody }, { maxConnections: 0, connectionsPerSecond: 0 }),
      bus: core.engineClient.nodes,
      counters: core.hot,
      clock: systemClock,
      onOpened: (connection) => open.add(connection),
      onAdopted: (connection) => open.adopt(connection),
    },
    configSchema.parse({}),
  );
  const told: string[] = [];
  const moveIn = new MoveIn({
    link: {
      arrived: tell,
      declined: (_move, reason) => told.push(reason),
      tellPeer: (_to, { kind }) => told.push(kind),
      connections: { closed: () => undefined },
    },
    hub: core.hub,
    upgrades,
    opener,
    presence: core.presence,
    userConnections: undefined,
    userSubscriptions: undefined,
    log: core.commands.log,
    node: 'n',
    settle: () => core.engineClient.settle(),
    onLost: () => undefined,
    onGone: (connection) => open.forsake(connection),
  });
  const { connection } = await (async () => {
    const client = await core.connected();
    await client.subscribe('news');
    return client;
  })();
  moveIn.onPeer(FROM, { kind: 'prepare', request: 1, channels: ['news'] });
  await waitFor('its channel', () => told.includes('prepared'));
  const departure = Departure.of(core.hub, connection);
  t.ok(departure !== undefined);
  const payload = encodeConnection({
    facts: FACTS,
    snapshot: connection.freeze(),
    subscriptions: departure?.subscriptions ?? [],
    tail: Buffer.alloc(0),
    unsent: [],
  });
  departure?.complete();
  core.hub.withdraw(connection);
  connection.forsake('n');
  core.open.delete(connection);

  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.teardown(() => server.close());
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const client = connect(portOf(server), '127.0.0.1');
  client.on('error', () => undefined);
  client.resume();
  scope.teardown(() => client.destroy());
  const ended = once(client, 'close');
  const socket = await accepted;
  const handle = freeze(socket);
  moveIn.take({ from: FROM, id: 1 }, payload, handle);
  t.same(told, ['prepared'], 'it was not declined');
  const registered = (): object => {
    const { connections, users, subscriptions } = core.registered;
    return { open: open.size, connections, users, subscriptions };
  };
  return { moveIn, registered, ended };
}

t.test('the primary cannot be told', async (t) => {
  const { registered, ended } = await takeUp(t, (_move, _node, told) => told(new Error('gone')));
  t.same(registered(), NOTHING);
  await ended;
});

t.test('the primary is gone before it was told', async (t) => {
  const { moveIn, registered, ended } = await takeUp(t, () => undefined);
  t.same(registered(), { open: 1, connections: 1, users: 1, subscriptions: 1 });
  moveIn.abandon();
  t.same(registered(), NOTHING);
  await ended;
});

t.test('one of which it has heard goes on', async (t) => {
  const { moveIn, registered } = await takeUp(t, (_move, _node, told) => told(null));
  moveIn.abandon();
  t.same(registered(), { open: 1, connections: 1, users: 1, subscriptions: 1 });
});
