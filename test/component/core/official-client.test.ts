// The official client against the core of a worker, with nothing but the network between them.
import { once } from 'node:events';
import { createServer } from 'node:http';
import t from 'tap';
import { OriginPolicy } from '../../../src/auth/origins.ts';
import { Admission } from '../../../src/gateway/admission.ts';
import { TrustedProxies } from '../../../src/util/client-address.ts';
import { SessionReader } from '../../../src/gateway/client-request.ts';
import { ConnectionOpener } from '../../../src/gateway/connection-opener.ts';
import { UpgradeHandler } from '../../../src/gateway/upgrade.ts';
import { OfficialClient } from '../../helpers/centrifuge.ts';
import { connectionToken, Core } from '../../helpers/core-harness.ts';
import { portOf } from '../../helpers/port-of.ts';
import type { Scope } from '../../helpers/scope.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const PATH = '/connection/websocket';
const OPEN = { allow_subscribe_for_client: true, allow_publish_for_client: true };

async function serve(scope: Scope): Promise<{ core: Core; url: string }> {
  const core = await Core.start(scope, {
    channel: {
      without_namespace: OPEN,
      namespaces: [{ name: 'stream', ...OPEN, history_size: 100, history_ttl: '300s', force_recovery: true }],
    },
  });
  const upgrades = new UpgradeHandler(
    {
      opener: new ConnectionOpener({
        shared: core.shared,
        counters: core.hot,
        onOpened: (connection) => core.open.add(connection),
        onAdopted: (connection) => core.open.add(connection),
      }),
      sessions: new SessionReader(
        { clock: core.clock },
        { keptHeaders: [], tokenCookie: '', takesBearer: false, proxies: new TrustedProxies([]) },
      ),
      admission: new Admission(
        {
          nowMs: () => 0,
          openConnections: () => core.open.size,
          isDraining: () => false,
          isOverloaded: () => false,
        },
        { maxConnections: 0, connectionsPerSecond: 0 },
      ),
      origins: new OriginPolicy([]),
    },
    {
      bidirectional: { path: PATH, maxMessageBytes: 65_536, compression: undefined },
      unidirectional: undefined,
      closeTimeoutMs: 1_000,
    },
  );
  const server = createServer();
  upgrades.attach(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.teardown(() => {
    for (const connection of core.open) connection.transport.destroy();
    server.close();
  });
  return { core, url: `ws://127.0.0.1:${portOf(server)}${PATH}` };
}

/** A payload as either encoding brings it. */
function valueOf(data: unknown): unknown {
  return data instanceof Uint8Array ? JSON.parse(Buffer.from(data).toString()) : data;
}

for (const protobuf of [false, true]) {
  t.test(`it connects, subscribes, publishes and recovers: ${protobuf ? 'Protobuf' : 'JSON'}`, async (t) => {
    const { core, url } = await serve(t);
    const token = await connectionToken('ann');
    const bytes = (text: string): unknown => (protobuf ? new TextEncoder().encode(text) : JSON.parse(text));
    const official = await new OfficialClient(t, url, {
      protobuf,
      options: { token, minReconnectDelay: 1, maxReconnectDelay: 50 },
    }).connect();
    const subscription = await official.subscribe('stream:a');
    await official.client.publish('stream:a', bytes('{"n":1}'));
    await subscription.next('publication');

    const [connection] = core.open;
    connection?.transport.destroy();
    await waitFor('the loss to be noticed', () => official.count('connecting') === 2);
    await core.publish('stream:a', { n: 2 });
    await core.publish('stream:a', { n: 3 });
    await waitFor('what was missed', () => subscription.publications.length === 3);
    t.strictSame(subscription.publications.map(valueOf), [{ n: 1 }, { n: 2 }, { n: 3 }]);
    const again = subscription.history.filter(({ kind }) => kind === 'subscribed').at(-1);
    t.match(again?.context, { wasRecovering: true, recovered: true });
  });
}
