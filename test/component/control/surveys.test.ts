// What a worker says about its connections and channels when it is asked.
import t from 'tap';
import {
  channelsAnswer,
  connectionsAnswer,
  nodeInfo,
  SurveyKinds,
} from '../../../src/hub/control-messages.ts';
import { Surveys } from '../../../src/hub/control-surveys.ts';
import { Core, type CoreOptions } from '../../helpers/core-harness.ts';
import type { Scope } from '../../helpers/scope.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const usage = (): { cpu: number; rss: number } => ({ cpu: 12.5, rss: 1000 });

const acceptRate = (): number => 850.4;

async function setUp(scope: Scope, options: CoreOptions = {}) {
  const core = await Core.start(scope, { client: { insecure: true }, ...options });
  const bus = core.engineClient.nodes;
  const { hub, clock } = core;
  new Surveys({ hub, bus, clock, name: 'host-1', version: '1.2.3', usage, acceptRate }).register();
  const ask = async (kind: string, question: object): Promise<unknown> => {
    const { answers, missing } = await bus.survey(kind, question, 5000);
    if (missing.length > 0 || answers.length !== 1) throw new Error('no answer');
    return answers[0]?.result;
  };
  return { core, ask };
}

t.test('info', async (t) => {
  const { core, ask } = await setUp(t);
  const one = await core.user('u');
  await core.user('u');
  await core.connected();
  await one.subscribe('a');
  await one.subscribe('b');
  core.clock.advance(61_000);
  t.strictSame(nodeInfo.parse(await ask(SurveyKinds.info, {})), {
    uid: core.engineClient.nodes.node,
    name: 'host-1',
    version: '1.2.3',
    num_clients: 3,
    num_users: 2,
    num_channels: 2,
    num_subs: 2,
    uptime: 61,
    process: { cpu: 12.5, rss: 1000 },
    accept_rate: 850,
  });
});

t.test('channels with subscribers, by pattern and by page', async (t) => {
  const { core, ask } = await setUp(t);
  const one = await core.user('u');
  const two = await core.user('v');
  for (const channel of ['c', 'a', 'b', 'x1']) await one.subscribe(channel);
  await two.subscribe('b');
  const channels = async (pattern: string, after = '', limit = 0) =>
    channelsAnswer.parse(await ask(SurveyKinds.channels, { pattern, after, limit }));
  t.strictSame(
    new Map(await channels('')),
    new Map([
      ['a', 1],
      ['b', 2],
      ['c', 1],
      ['x1', 1],
    ]),
  );
  t.strictSame(await channels('x?'), [['x1', 1]]);
  t.strictSame(await channels('', 'a', 2), [
    ['b', 2],
    ['c', 1],
  ]);
  one.vanish();
  t.strictSame(await channels(''), [['b', 1]]);
});

t.test('connections: who, how, since when, how it is', async (t) => {
  const { core, ask } = await setUp(t);
  const client = await core.connected(
    { name: 'js', version: '5.8.0' },
    {
      session: {
        client: 'c1',
        secret: 'its secret',
        connectedAtWallMs: 1_700_000_000_000,
        remoteAddress: '192.0.2.7',
        userAgent: 'Test/1.0',
      },
    },
  );
  await client.subscribe('a');
  await client.subscribe('b');
  const connections = async (target: object, after = '', limit = 10) =>
    connectionsAnswer.parse(await ask(SurveyKinds.connections, { target, after, limit }));
  const plain = {
    client: 'c1',
    user: '',
    transport: 'websocket',
    protocol: 'json',
    app_name: 'js',
    app_version: '5.8.0',
    connected_at_ms: 1_700_000_000_000,
    last_activity_ms: core.clock.wallMs(),
    channels: ['a', 'b'],
    outbox_bytes: 0,
    remote_address: '192.0.2.7',
    user_agent: 'Test/1.0',
  };
  t.strictSame(await connections({}), [plain]);

  core.pass(26_000);
  const pingedMs = core.clock.monotonicMs() - client.connection.session.signs.pingSentMs;
  core.clock.advance(33);
  client.sendText('{}');
  client.transport.slow = true;
  await core.publish('a', 'x'.repeat(100));
  await waitFor('the publication', () => client.connection.unsentBytes > 100);
  const [later] = await connections({ client: 'c1' });
  t.match(later, { ping_pong_latency_ms: pingedMs + 33, last_activity_ms: core.clock.wallMs() });
  t.ok((later?.outbox_bytes ?? 0) > 100, 'what it has not taken');

  const users = [await core.user('u'), await core.user('u'), await core.user('v')];
  await users[2]?.subscribe('a');
  const ids = async (target: object, after = '', limit = 10) =>
    (await connections(target, after, limit)).map(({ client: id }) => id);
  const idOf = (n: number): string => users[n]?.connection.session.client ?? '';
  t.strictSame(await ids({ user: 'u' }), [idOf(0), idOf(1)].toSorted());
  t.strictSame(await ids({ channel: 'a' }), ['c1', idOf(2)].toSorted());
  t.strictSame(await ids({ channel: 'a', user: 'v' }), [idOf(2)]);
  t.strictSame(await ids({ client: idOf(1), user: 'v' }), []);
  t.strictSame(await ids({ session: 'its secret' }), ['c1']);
  const all = ['c1', idOf(0), idOf(1), idOf(2)].toSorted();
  t.strictSame(await ids({}, '', 2), all.slice(0, 2));
  t.strictSame(await ids({}, all[1], 2), all.slice(2));
});
