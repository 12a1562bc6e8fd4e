// `holdfast sub` and `check-token` parsed what they show and printed it again: large integers were rounded.
import { createServer } from 'node:http';
import t from 'tap';
import { WebSocketServer } from 'ws';
import { cliRun } from '../helpers/cli-run.ts';
import { portOf } from '../helpers/port-of.ts';

const DATA = '{"id":9007199254740993, "price":1.10,"e":1e400,"s":"\\u00e9"}';
const PUB = `{"offset":3,"data":${DATA},"tags":{"k":"v"}}`;

t.test('sub prints live and recovered publications as they came', async (t) => {
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.once('message', () => {
      socket.send('{"id":1,"connect":{"client":"c","version":"v"}}');
      socket.send(`{"id":2,"subscribe":{"publications":[${PUB},${PUB}]}}`);
      socket.send(`{"push":{"channel":"a","pub":${PUB}}}`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    sockets.close();
    server.close();
  });
  const at = ['--url', `http://127.0.0.1:${portOf(server)}`, '--count', '3'];
  t.equal((await cliRun(['sub', 'a', ...at])).out, `${DATA}\n`.repeat(3));
  t.equal((await cliRun(['sub', 'a', '--json', ...at])).out, `${PUB}\n`.repeat(3));
});

t.test('check-token prints claims as they are', async (t) => {
  const environment = { HOLDFAST_CLIENT_TOKEN_HMAC_SECRET_KEY: 'a secret of at least thirty-two bytes' };
  const { out: token } = await cliRun(['token', '--user', '7', '--info', DATA], { environment });
  const text = await cliRun(['check-token', token.trim()], { environment });
  t.match(text, { code: 0, out: `  info: ${DATA}\n` });
  const json = await cliRun(['check-token', token.trim(), '--json'], { environment });
  t.match(json.out, `"info":${DATA}`);
  t.match(JSON.parse(json.out), { valid: true, type: 'connection', claims: { sub: '7' } });
});
