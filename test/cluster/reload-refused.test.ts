// What is wrong with a reload is found before it costs anybody a connection: configuration, application, version, Node.
import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { type Gateway, type GatewayOptions, startGateway } from '../helpers/gateway.ts';
import { MAIN } from '../helpers/program.ts';
import type { Scope } from '../helpers/scope.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 20;

async function crowdAt(scope: Scope, gateway: Gateway): Promise<Crowd> {
  const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS });
  await crowd.gather(scope);
  crowd.talk();
  return crowd;
}

/** Changes the configuration that the gateway was started with. */
async function rewrite(gateway: Gateway, change: (config: Record<string, unknown>) => void): Promise<void> {
  const config: unknown = JSON.parse(await readFile(gateway.configFile, 'utf8'));
  if (typeof config !== 'object' || config === null) throw new Error('no configuration');
  const copy: Record<string, unknown> = { ...config };
  change(copy);
  await writeFile(gateway.configFile, JSON.stringify(copy));
}

t.test('a configuration that is wrong changes nothing, and says why', async (t) => {
  const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS } });
  const crowd = await crowdAt(t, gateway);
  const before = await gateway.workerPids();
  await rewrite(gateway, (config) => {
    config['clients'] = {};
  });
  gateway.child.signal('SIGHUP');
  const [line] = await waitFor('the refusal', () => {
    const lines = gateway.logged('reload failed');
    return lines.length > 0 && lines;
  });
  t.match(line, { reason: /clients/ });
  await rewrite(gateway, (config) => {
    delete config['clients'];
    config['workers'] = 3;
  });
  const { exit, output } = await gateway.command(t, 'reload');
  t.equal(exit.code, 1);
  t.match(output, /only a restart can change workers/);
  t.same(await gateway.workerPids(), before);
  await crowd.hush();
  t.same(crowd.faults(), []);
});

t.test(
  'an application that does not start stops the reload; mended, it goes through by SIGHUP',
  async (t) => {
    const directory = await tempDir(t);
    const module = join(directory, 'app.mjs');
    const working = `export default { disconnect() {} };`;
    await writeFile(module, working);
    const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS, app: { module } } });
    const crowd = await crowdAt(t, gateway);
    const before = await gateway.workerPids();
    await writeFile(module, `throw new Error('broken application');`);
    const { exit, output } = await gateway.command(t, 'reload');
    t.equal(exit.code, 1);
    t.match(output, /worker 1 does not start.*broken application/s);
    t.same(await gateway.workerPids(), before, 'the old workers serve');
    await writeFile(module, working);
    gateway.child.signal('SIGHUP');
    await waitFor('the reload', () => gateway.logged('reloaded').length === 1, 60_000);
    t.notOk((await gateway.workerPids()).some((pid) => before.includes(pid)));
    await crowd.hush();
    t.same(crowd.faults(), []);
  },
);

/** The program somewhere else, where it can be changed under a gateway that runs. */
async function copyOfProgram(scope: Scope): Promise<string> {
  const directory = await tempDir(scope);
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  await cp(dirname(MAIN), join(directory, '.build', 'src'), { recursive: true });
  await cp(join(root, 'package.json'), join(directory, 'package.json'));
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'));
  return join(directory, '.build', 'src', 'main.js');
}

t.test('a version that does not know how connections are written down takes none', async (t) => {
  const program = await copyOfProgram(t);
  const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS }, program });
  const crowd = await crowdAt(t, gateway);
  const before = await gateway.workerPids();
  const file = join(dirname(program), 'connection', 'session.js');
  const code = await readFile(file, 'utf8');
  const changed = code.replace(/SESSION_SCHEMA = \d+/, 'SESSION_SCHEMA = 9999');
  t.not(changed, code);
  await writeFile(file, changed);
  const { exit, output } = await gateway.command(t, 'reload');
  t.equal(exit.code, 1);
  t.match(output, /worker 1 does not serve: .*written in a form that is not known here/s);
  t.same(await gateway.workerPids(), before, 'the old workers serve');
  await writeFile(file, code);
  t.equal((await gateway.command(t, 'reload')).exit.code, 0, 'with the version before, it goes through');
  await crowd.hush();
  t.same(crowd.faults(), []);
});

/** A reload of 8 clients that have to come back, and miss nothing. */
async function comesBack(t: Test, options: GatewayOptions): Promise<Gateway> {
  const gateway = await startGateway(t, options);
  const clients = await Promise.all(
    Array.from({ length: 8 }, () =>
      new OfficialClient(t, gateway.wsUrl, {
        options: { minReconnectDelay: 20, maxReconnectDelay: 200 },
      }).connect(),
    ),
  );
  const subscriptions = await Promise.all(clients.map((client) => client.subscribe('kept:all')));
  let sent = 0;
  const over = new AbortController();
  const publishing = (async () => {
    while (!over.signal.aborted) {
      sent += 1;
      await gateway.api('publish', { channel: 'kept:all', data: sent });
      await delay(10);
    }
  })();
  const { exit, output } = await gateway.command(t, 'reload');
  t.equal(exit.code, 0, output);
  t.match(output, /0 connections moved, \d+ closed to come back/);
  over.abort();
  await publishing;
  for (const subscription of subscriptions) {
    await waitFor('everything', () => subscription.publications.length >= sent);
    t.same(
      subscription.publications,
      Array.from({ length: sent }, (_, index) => index + 1),
    );
  }
  t.ok(clients.every((client) => client.count('disconnected') === 0));
  return gateway;
}

const CLOSES = { close_timeout: '1s' };

t.test(
  'switched off: connections are closed over time, and their clients come back with what they missed',
  (t) => comesBack(t, { config: { channel: CROWD_CHANNELS, handoff: { ...CLOSES, enabled: false } } }),
);

t.test('a Node that does not let go of a connection: a warning, and the same', async (t) => {
  const preload = join(await tempDir(t), 'preload.mjs');
  // One that reads on whatever it is told.
  await writeFile(preload, `process.binding('pipe_wrap').Pipe.prototype.readStop = () => 0;`);
  const gateway = await comesBack(t, {
    config: { channel: CROWD_CHANNELS, handoff: CLOSES },
    env: { NODE_OPTIONS: `--import=${preload}` },
  });
  t.match(gateway.logged('connections cannot be moved: they are closed, clients come back'), [
    { level: 'warn', reason: /./ },
    { level: 'warn', reason: /./ },
  ]);
});
