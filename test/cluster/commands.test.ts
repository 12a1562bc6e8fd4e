// The commands against a gateway that really runs: the first minute of a newcomer.
import t from 'tap';
import { Child } from '../helpers/child.ts';
import { startGateway } from '../helpers/gateway.ts';
import { MAIN } from '../helpers/program.ts';

t.test('sub, pub, status and drain', async (t) => {
  const gateway = await startGateway(t);
  const at = ['--url', gateway.httpUrl, '--config', gateway.configFile];

  const sub = new Child(t, process.execPath, [MAIN, 'sub', 'chat', '--count', '2', ...at]);
  await sub.waitUntil('the subscription', () => sub.output.includes('subscribed to chat'));
  const first = await gateway.command(t, 'pub', 'chat', '{"n":1}', '--url', gateway.httpUrl);
  t.match(first, { exit: { code: 0 }, output: 'published to chat\n' });
  await gateway.command(t, 'pub', 'chat', '{"n":2}', '--url', gateway.httpUrl);
  t.match(await sub.exited, { code: 0 });
  t.match(sub.output, '{"n":1}\n{"n":2}\n');

  const wrongKey = await gateway.command(t, 'pub', 'chat', '1', '--url', gateway.httpUrl, '--key', 'wrong');
  t.match(wrongKey, { exit: { code: 1 }, output: /refuses the API key/ });

  const status = await gateway.command(t, 'status', '--json');
  t.equal(status.exit.code, 0);
  t.match(JSON.parse(status.output), { state: 'serving', workers: [{ state: 'ready' }, { state: 'ready' }] });
  const table = await gateway.command(t, 'status');
  t.match(table.output, /^holdfast \S+ {2}serving /);

  const watch = new Child(t, process.execPath, [
    MAIN,
    'status',
    '--watch',
    '--json',
    '--config',
    gateway.configFile,
  ]);
  await watch.waitUntil('a second look', () => watch.output.split('\n').length > 2);
  t.match(await watch.stop('SIGINT'), { code: 0 });

  const follower = new Child(t, process.execPath, [MAIN, 'sub', 'chat', ...at]);
  await follower.waitUntil('the subscription', () => follower.output.includes('subscribed to chat'));
  const drain = await gateway.command(t, 'drain', '--exit');
  t.match(drain, { exit: { code: 0 }, output: /drained: the gateway ends\n$/ });
  t.match(await gateway.child.exited, { code: 0 });
  await follower.waitUntil('another attempt', () => follower.output.includes('trying again'));
  t.match(await follower.stop('SIGINT'), { code: 0 });

  t.match(await gateway.command(t, 'status'), { exit: { code: 69 }, output: /no gateway answers/ });
});

t.test('tokens made by the commands are accepted by the gateway', async (t) => {
  const secret = 'a-secret-of-the-tests-that-is-long';
  const gateway = await startGateway(t, {
    config: { client: { insecure: false, token: { hmac_secret_key: secret } } },
  });
  const at = ['--url', gateway.httpUrl, '--config', gateway.configFile];
  const sub = new Child(t, process.execPath, [MAIN, 'sub', '$private', '--count', '1', ...at]);
  await sub.waitUntil('the subscription', () => sub.output.includes('subscribed to $private'));
  await gateway.command(t, 'pub', '$private', '"secret"', '--url', gateway.httpUrl);
  t.match(await sub.exited, { code: 0 });
  const stranger = new Child(t, process.execPath, [MAIN, 'sub', 'chat', '--url', gateway.httpUrl]);
  t.match(await stranger.exited, { code: 1 });
});
