// The whole program with an app module: two workers, official clients, and everything that a handler may do.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { OfficialClient } from '../../helpers/centrifuge.ts';
import { Child } from '../../helpers/child.ts';
import { type GatewayOptions, startGateway } from '../../helpers/gateway.ts';
import { ProtocolClient } from '../../helpers/protocol-client.ts';
import { tempDir } from '../../helpers/temp-dir.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const VERDICT = "Symbol.for('holdfast.app.verdict')";

/** Plain JavaScript, as one file: what `holdfast/app` would add are types. */
const APP = `
const told = [];
export default {
  start(gateway) { told.push('start'); },
  connect({ data, caller }) {
    if (!data?.name) return undefined;
    return { user: data.name, info: { name: data.name }, data: { header: caller.headers['x-app'] }, meta: { n: 1 } };
  },
  subscribe: ({ channel, caller }) => (channel.startsWith('room:') ? { data: caller.meta } : undefined),
  publish: ({ data, caller }) => (data === 'drop' ? { drop: true } : { data: { from: caller.user, data } }),
  message: async ({ data, caller }, { gateway }) => {
    await gateway.publish('room:log', { from: caller.user, data });
  },
  disconnect: ({ caller }, { gateway }) => gateway.publish('room:log', { left: caller.user }),
  rpc: {
    told: () => told,
    publish: ({ data }, { gateway }) => gateway.publish(data.channel, data.data),
    broadcast: async ({ data }, { gateway }) => {
      const results = await gateway.broadcast(data, 'all');
      return results.map((result) => (result instanceof Error ? result.code : 'ok'));
    },
    presence: ({ data }, { gateway }) => gateway.presence(data),
    presenceStats: ({ data }, { gateway }) => gateway.presenceStats(data),
    history: ({ data }, { gateway }) => gateway.history(data),
    removeHistory: async ({ data }, { gateway }) => gateway.removeHistory(data),
    channels: async (_, { gateway }) => {
      const { found, complete } = await gateway.channels('room:*');
      return { found: [...found].sort(), complete };
    },
    connections: async ({ data }, { gateway }) => {
      const { found } = await gateway.connections(data);
      return found.map(({ user, transport, name, channels }) => [user, transport, name, [...channels].sort()]);
    },
    subscribe: ({ data }, { gateway }) => gateway.subscribe({ user: data }, 'room:pushed', { data: { by: 'app' } }),
    unsubscribe: ({ data }, { gateway }) => gateway.unsubscribe({ user: data }, 'room:1'),
    disconnect: ({ data }, { gateway }) => gateway.disconnect({ user: data }, { code: 4400, reason: 'by app' }),
    everyone: (_, { gateway }) => gateway.disconnect({}),
    fault: () => { throw new Error('fault'); },
    forgotten: () => void Promise.reject(new Error('forgotten')),
    refused: () => { throw Object.assign(new Error('refused'), { [${VERDICT}]: 'error', code: 1001 }); },
    slow: () => new Promise(() => {}),
  },
};
`;

async function start(t: Test, source: string, options: GatewayOptions = {}) {
  const module = join(await tempDir(t), 'app.mjs');
  await writeFile(module, source);
  return startGateway(t, {
    ...options,
    config: {
      ...options.config,
      client: { insecure: false },
      app: { module, timeout: '2s', http_headers: ['X-App'] },
      channel: {
        namespaces: [
          { name: 'room', presence: true, history_size: 10, history_ttl: '60s' },
          { name: 'plain' },
        ],
      },
    },
  });
}

t.test('an application in a module', async (t) => {
  const gateway = await start(t, APP);
  const client = async (name: string) => {
    const one = new OfficialClient(t, gateway.wsUrl, {
      options: { data: { name } },
      socket: { headers: { 'x-app': 'yes' } },
    });
    one.client.connect();
    return { one, connected: await one.next('connected') };
  };
  const { one: ann, connected } = await client('ann');
  t.match(connected, { data: { header: 'yes' } });
  // Connections are spread over the workers in turn: these two are on different ones.
  const { one: bob } = await client('bob');
  const call = async (method: string, data: unknown = null): Promise<unknown> =>
    (await ann.client.rpc(method, data)).data;

  const annRoom = await ann.subscribe('room:1');
  const bobRoom = await bob.subscribe('room:1');
  t.match(annRoom.history.at(-1)?.context, { data: { n: 1 } });
  await annRoom.subscription.publish('drop');
  await annRoom.subscription.publish('hi');
  await bobRoom.next('publication');
  t.same(bobRoom.publications, [{ from: 'ann', data: 'hi' }]);
  const log = await ann.subscribe('room:log');
  await bob.client.send({ note: 1 });
  await log.next('publication');
  t.same(log.publications, [{ from: 'bob', data: { note: 1 } }]);

  t.match(await call('publish', { channel: 'room:1', data: [1] }), { offset: 2, epoch: /./ });
  await bobRoom.next('publication');
  t.same(await call('broadcast', ['room:1', 'nowhere:1', 'plain:1', '']), ['ok', 102, 'ok', 107]);
  t.same(await call('presenceStats', 'room:1'), { clients: 2, users: 2 });
  t.match(await call('presence', 'room:log'), [{ user: 'ann', connInfo: { name: 'ann' } }]);
  t.match(await call('history', 'room:1'), {
    publications: [
      { data: { from: 'ann', data: 'hi' }, info: { user: 'ann' } },
      { data: [1] },
      { data: 'all' },
    ],
    offset: 3,
  });
  await call('removeHistory', 'room:1');
  t.match(await call('history', 'room:1'), { publications: [], offset: 3 });
  t.same(await call('channels'), {
    found: [
      ['room:1', 2],
      ['room:log', 1],
    ],
    complete: true,
  });
  await t.rejects(call('presence', 'plain:1'), { code: 100 }, 'what the gateway refuses is no verdict');
  await t.rejects(call('everyone'), { code: 100 }, 'nobody closes all by mistake');
  await t.rejects(call('refused'), { code: 1001, message: 'refused' });
  await t.rejects(call('fault'), { code: 100 });
  await t.rejects(call('slow'), { code: 100 });
  await t.rejects(call('unknown'), { code: 104 });
  await call('forgotten');
  await waitFor('the log line', () => gateway.logged('rejection that nobody handled').length === 1);
  t.same(await call('told'), ['start'], 'the worker lives, with the module that it loaded once');

  await call('subscribe', 'bob');
  t.match(await bob.next('subscribed'), { channel: 'room:pushed', data: { by: 'app' } });
  t.same(await call('connections', { user: 'bob' }), [['bob', 'websocket', 'js', ['room:1', 'room:pushed']]]);
  t.match(await call('connections', { channel: 'room:1' }), { length: 2 });
  await call('unsubscribe', 'bob');
  t.match(await bobRoom.next('unsubscribed'), { code: 2000 });
  await call('disconnect', 'bob');
  await waitFor('his farewell', () =>
    log.publications.some((data) => JSON.stringify(data) === '{"left":"bob"}'),
  );

  const raw = await ProtocolClient.open(t, gateway.wsUrl);
  raw.send({ id: 1, connect: { data: {} } });
  t.match(await raw.closeFrame(), { code: 3501 });
  const other = await ProtocolClient.connected(t, gateway.wsUrl, { data: { name: 'eve' } });
  t.match(await other.command('subscribe', { channel: 'plain:1' }), { error: { code: 103 } });
  t.equal(await gateway.metric('hook_calls_total', 'result="timeout"'), 1);
});

t.test('a module that cannot be loaded, or does not start, keeps the gateway from serving', async (t) => {
  const directory = await tempDir(t);
  const cases: [source: string, reason: RegExp][] = [
    ['export default { connect: 7 };', /app\.module: .*app\.mjs: connect: expected a function/],
    [
      'export default { start() { throw new Error("no database"); } };',
      /app\.module: start failed: no database/,
    ],
  ];
  for (const [source, reason] of cases) {
    await writeFile(join(directory, 'app.mjs'), source);
    await writeFile(
      join(directory, 'config.json'),
      JSON.stringify({
        workers: 1,
        http_server: { address: '127.0.0.1', port: 0 },
        control: { socket: join(directory, 'control.sock') },
        // Beside the configuration file, wherever the program is started.
        app: { module: 'app.mjs' },
      }),
    );
    const main = new URL('../../../src/main.js', import.meta.url).pathname;
    const child = new Child(
      t,
      process.execPath,
      [main, 'serve', '--config', join(directory, 'config.json')],
      {
        cwd: '/',
      },
    );
    await child.waitUntil('the reason', () => reason.test(child.output));
    t.notMatch(child.output, '"msg":"listening"');
    if (child.exit === undefined) await child.stop();
  }
});
