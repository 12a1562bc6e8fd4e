// Every door of a gateway over replacements of its primary: open throughout, at the same place, gone in the end.
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Child } from '../helpers/child.ts';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { API_KEY, CONFIG_FILE, Gateway, startGateway } from '../helpers/gateway.ts';
import { freePort } from '../helpers/ports.ts';
import { MAIN } from '../helpers/program.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { stopCurrent } from '../helpers/upgrading.ts';
import { agentOf, agentPort, internalPort, pageOf, PassersBy, Visitors } from '../helpers/visitors.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 20;
const PASSERS_BY_PER_SECOND = Number(process.env['TEST_PASSERS_BY'] ?? 30);
const ROUNDS = 2;

t.test('TCP port, UNIX socket, internal port and agent check', async (t) => {
  const socketPath = join(await tempDir(t), 'public.sock');
  const gateway = await startGateway(t, {
    config: {
      channel: CROWD_CHANNELS,
      http_server: { unix_socket: socketPath, internal_port: 0 },
      // The word `ready` belongs to a start, and this is none.
      agent_check: { enabled: true, address: '127.0.0.1', port: 0, ready_time: '1s', ramp: '0s' },
    },
  });
  const backEnd = { port: internalPort(gateway) };
  const inside = new Gateway(gateway.child, backEnd.port, gateway.directory);
  const url = [gateway.wsUrl, `ws+unix:${socketPath}:/connection/websocket`];
  const crowd = new Crowd({ gateway: inside, url, clients: CLIENTS });
  await crowd.gather(t);
  crowd.talk();
  const agent = agentOf(agentPort(gateway));
  await waitFor('the end of the start', () =>
    agent().then(
      () => true,
      () => false,
    ),
  );

  const visitors = {
    'TCP port': new Visitors(t, pageOf({ port: gateway.port }, '/readyz')),
    'UNIX socket': new Visitors(t, pageOf({ socketPath }, '/readyz')),
    'internal port': new Visitors(t, pageOf(backEnd, '/readyz')),
    figures: new Visitors(t, pageOf(backEnd, '/metrics')),
    agent: new Visitors(t, agent),
  };
  const passersBy = new PassersBy(t, gateway.wsUrl, PASSERS_BY_PER_SECOND);
  for (let round = 1; round <= ROUNDS; round += 1) {
    const { exit, output } = await gateway.command(t, 'upgrade');
    t.equal(exit.code, 0, output);
    for (const each of Object.values(visitors)) await each.untilServed(5);
  }
  await passersBy.stop();
  for (const [door, each] of Object.entries(visitors)) {
    await each.stop();
    t.same(each.refused, [], `${door}: ${each.served} served`);
  }
  t.same(passersBy.failed.slice(0, 5), []);
  t.comment(`${passersBy.connected} passers-by`);
  await crowd.hush();
  t.same(crowd.faults().slice(0, 10), []);
  t.equal(await inside.metric('connections'), CLIENTS);
  await stopCurrent(gateway);
  t.notOk(existsSync(socketPath));
});

t.test('a socket that systemd opened', async (t) => {
  const directory = await tempDir(t);
  const port = await freePort();
  const config = {
    workers: 2,
    http_api: { key: API_KEY },
    client: { insecure: true },
    channel: CROWD_CHANNELS,
    control: { socket: join(directory, 'control.sock') },
    shutdown: { timeout: '5s' },
  };
  await writeFile(join(directory, CONFIG_FILE), JSON.stringify(config));
  const program = [process.execPath, MAIN, 'serve', '--config', join(directory, CONFIG_FILE)];
  const activate = [`--listen=127.0.0.1:${port}`, '--fdname=public', ...program];
  const child = new Child(t, 'systemd-socket-activate', activate);
  await child.waitUntil('the socket', () => child.output.includes('Listening on'));
  const gateway = new Gateway(child, port, directory);
  const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS });
  await crowd.gather(t);
  crowd.talk();
  const visitors = new Visitors(t, pageOf({ port }, '/readyz'));
  // The second time it is inherited from one that has inherited it.
  for (let round = 1; round <= ROUNDS; round += 1) {
    const { exit, output } = await gateway.command(t, 'upgrade');
    t.equal(exit.code, 0, output);
    await visitors.untilServed(5);
    t.same(gateway.logged('listening').at(-1)?.['listening'], [`127.0.0.1:${port}`]);
  }
  await visitors.stop();
  t.same(visitors.refused, []);
  await crowd.hush();
  t.same(crowd.faults().slice(0, 10), []);
  await stopCurrent(gateway);
  await t.rejects(pageOf({ port }, '/readyz')(), { code: 'ECONNREFUSED' });
});

t.test('another UNIX socket from then on', async (t) => {
  const directory = await tempDir(t);
  const paths = ['one.sock', 'other.sock'].map((name) => join(directory, name));
  const gateway = await startGateway(t, { workers: 1, config: { http_server: { unix_socket: paths[0] } } });
  const config: unknown = JSON.parse(await readFile(gateway.configFile, 'utf8'));
  const changed = JSON.stringify(config).replace('one.sock', 'other.sock');
  await writeFile(gateway.configFile, changed);
  const { exit, output } = await gateway.command(t, 'upgrade');
  t.equal(exit.code, 0, output);
  t.same(paths.map(existsSync), [false, true]);
  await pageOf({ socketPath: paths[1] ?? '' }, '/readyz')();
  await stopCurrent(gateway);
  t.same(paths.map(existsSync), [false, false]);
});
