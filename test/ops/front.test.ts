// `npm run front` as a newcomer uses it: official clients talk through HAProxy and TLS to two workers.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { Child } from '../helpers/child.ts';
import { startGateway } from '../helpers/gateway.ts';
import { portOf } from '../helpers/port-of.ts';
import { accepts } from '../helpers/ports.ts';
import { waitFor } from '../helpers/wait-for.ts';

const FRONT = fileURLToPath(new URL('../../../scripts/front.mjs', import.meta.url));

t.test('official clients talk through wss to two workers', async (t) => {
  const gateway = await startGateway(t, { workers: 2 });
  const front = new Child(t, process.execPath, [FRONT, '--to', `127.0.0.1:${gateway.port}`, '--port', '0']);
  const url = await front.waitUntil('its address', () => /wss:\S+/.exec(front.output)?.[0]);
  const trusted = await front.waitUntil('its certificate', () => /--cacert (\S+)/.exec(front.output)?.[1]);
  const ca = readFileSync(trusted, 'utf8');

  const clients = await Promise.all(
    Array.from({ length: 10 }, () => new OfficialClient(t, url, { socket: { ca } }).connect()),
  );
  const subscriptions = await Promise.all(clients.map((client) => client.subscribe('room')));
  for (const [sender, { client }] of clients.entries()) await client.publish('room', { sender });
  const senders = new Set(clients.map((_, sender) => JSON.stringify({ sender })));
  for (const subscription of subscriptions) {
    await waitFor('all publications', () => subscription.publications.length === clients.length);
    // Without history there is one order for each publisher, not one over publishers of different workers.
    t.same(new Set(subscription.publications.map((data) => JSON.stringify(data))), senders);
  }
  for (const worker of [1, 2]) {
    const count = await gateway.metric('worker_connections', `worker="${worker}"`);
    // A health check that is under way counts as well when one is chosen.
    t.ok(count >= 4 && count <= 6, `worker ${worker} has its half: ${count}`);
  }
  t.equal(clients.filter((client) => client.count('error') > 0).length, 0);

  const port = Number(new URL(url).port);
  t.same(await front.stop('SIGINT'), { code: 0, signal: null });
  t.notOk(front.groupIsAlive, 'HAProxy is gone');
  t.notOk(await accepts(port));
  t.throws(() => readFileSync(trusted), { code: 'ENOENT' });
});

t.test('says what is wrong', async (t) => {
  const empty = new Child(t, process.execPath, [FRONT], { env: { PATH: '/nowhere' } });
  t.same(await empty.exited, { code: 1, signal: null });
  t.match(empty.output, /is not installed. On Debian: sudo apt-get install/);
  const unknown = new Child(t, process.execPath, [FRONT, '--prot', '1']);
  t.same(await unknown.exited, { code: 1, signal: null });
  t.match(unknown.output, /--prot[^]*npm run front --/);
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.teardown(() => other.close());
  const taken = String(portOf(other));
  for (const [flag, value, message] of [
    ['--port', '99999', /--port is no port\nnpm run front --/],
    ['--to', 'nowhere', /--to is no HOST:PORT\nnpm run front --/],
    [
      '--port',
      taken,
      /cannot listen on 127\.0\.0\.1:\d+ \(another program has it\): choose with --host and --port/,
    ],
  ] as const) {
    const wrong = new Child(t, process.execPath, [FRONT, flag, value]);
    t.same(await wrong.exited, { code: 1, signal: null }, `${flag} ${value}`);
    t.match(wrong.output, message);
    t.notMatch(wrong.output, 'HAProxy serves');
  }
});
