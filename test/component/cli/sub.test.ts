import { createServer } from 'node:http';
import t from 'tap';
import { type WebSocket, WebSocketServer } from 'ws';
import { cliRun } from '../../helpers/cli-run.ts';
import { portOf } from '../../helpers/port-of.ts';
import type { Scope } from '../../helpers/scope.ts';

type Command = Readonly<Record<string, unknown>>;
type Script = (socket: WebSocket, commands: readonly Command[], connection: number) => void;

interface Peer {
  readonly url: string;
  /** Commands of each connection's first frame. */
  readonly first: (readonly Command[])[];
  readonly pongs: string[];
}

/** Plays the gateway's part: the script answers the first frame of each connection. */
async function startPeer(scope: Scope, script: Script): Promise<Peer> {
  const first: (readonly Command[])[] = [];
  const pongs: string[] = [];
  const server = createServer();
  const sockets = new WebSocketServer({ server, path: '/connection/websocket' });
  sockets.on('connection', (socket) => {
    socket.once('message', (data: Buffer) => {
      const commands = data
        .toString()
        .split('\n')
        .map((line): Command => JSON.parse(line));
      first.push(commands);
      socket.on('message', (pong: Buffer) => pongs.push(pong.toString()));
      script(socket, commands, first.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.teardown(() => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
    server.close();
  });
  return { url: `http://127.0.0.1:${portOf(server)}`, first, pongs };
}

const connected = '{"id":1,"connect":{"client":"c","version":"v","ping":25,"pong":true}}';
const publication = (pub: Command): string => JSON.stringify({ push: { channel: 'a', pub } });

t.test('it prints data, answers pings, and ends after the count', async (t) => {
  const peer = await startPeer(t, (socket) => {
    socket.send(`${connected}\n{"id":2,"subscribe":{}}`);
    socket.send('{}');
    socket.send(
      `${publication({ data: { n: 1 } })}\n${publication({ data: 'two' })}\n${publication({ data: 3 })}`,
    );
  });
  const run = await cliRun(['sub', 'a', '--url', peer.url, '--count', '2']);
  t.same(run, { code: 0, out: '{"n":1}\n"two"\n', err: 'subscribed to a; Ctrl-C ends\n' });
  t.match(peer.first, [
    [
      { id: 1, connect: { name: 'holdfast-cli' } },
      { id: 2, subscribe: { channel: 'a' } },
    ],
  ]);
  t.equal(peer.first[0]?.[0]?.['connect'] instanceof Object && 'token' in peer.first[0][0]['connect'], false);
  t.same(peer.pongs, ['{}']);
});

t.test('whole publications on demand', async (t) => {
  const peer = await startPeer(t, (socket) => {
    socket.send(`${connected}\n{"id":2,"subscribe":{}}\n${publication({ data: 1, tags: { k: 'v' } })}`);
  });
  const run = await cliRun(['sub', 'a', '--url', peer.url, '--count', '1', '--json']);
  t.same(JSON.parse(run.out), { data: 1, tags: { k: 'v' } });
});

t.test('who holds the secret gets tokens signed for both commands', async (t) => {
  const peer = await startPeer(t, (socket) => {
    socket.send(`${connected}\n{"id":2,"subscribe":{}}\n${publication({ data: 1 })}`);
  });
  const environment = { HOLDFAST_CLIENT_TOKEN_HMAC_SECRET_KEY: 's' };
  await cliRun(['sub', '$a', '--url', peer.url, '--count', '1', '--user', '7'], { environment });
  const [connect, subscribe] = peer.first[0] ?? [];
  t.match(connect, { connect: { token: /^ey.*\..*\./ } });
  t.match(subscribe, { subscribe: { token: /^ey.*\..*\./ } });
});

t.test('it comes back and recovers', async (t) => {
  const peer = await startPeer(t, (socket, _, connection) => {
    const position = '"recoverable":true,"epoch":"e"';
    if (connection === 1) {
      socket.send(`${connected}\n{"id":2,"subscribe":{${position},"offset":4}}`);
      socket.send(publication({ data: 5, offset: 5 }), () => socket.close(3001, 'shutdown'));
      return;
    }
    const missed = '"recovered":true,"publications":[{"data":6,"offset":6},{"data":7,"offset":7}]';
    socket.send(`${connected}\n{"id":2,"subscribe":{${position},"offset":5,${missed}}}`);
    socket.send(publication({ data: 8, offset: 8 }));
  });
  const run = await cliRun(['sub', 'a', '--url', peer.url, '--count', '4']);
  t.equal(run.out, '5\n6\n7\n8\n');
  t.match(run.err, 'closed (3001): shutdown; trying again');
  t.match(peer.first[1]?.[1], { subscribe: { recover: true, epoch: 'e', offset: 5 } });
});

t.test('it says when something was missed', async (t) => {
  const peer = await startPeer(t, (socket, _, connection) => {
    const offset = connection === 1 ? 4 : 9;
    socket.send(
      `${connected}\n{"id":2,"subscribe":{"recoverable":true,"epoch":"e","offset":${offset}}}`,
      () => {
        if (connection === 1) socket.terminate();
        else socket.send(publication({ data: 10, offset: 10 }));
      },
    );
  });
  const run = await cliRun(['sub', 'a', '--url', peer.url, '--count', '1']);
  t.equal(run.out, '10\n');
  t.match(run.err, 'some publications were missed');
});

t.test('a refusal for good ends with 1', async (t) => {
  const table: readonly (readonly [script: Script, message: RegExp])[] = [
    [
      (socket) => socket.send('{"id":1,"error":{"code":101,"message":"unauthorized"}}'),
      /error 101: unauthorized/,
    ],
    [
      (socket) => socket.send(`${connected}\n{"id":2,"error":{"code":103,"message":"permission denied"}}`),
      /error 103: permission denied/,
    ],
    [
      (socket) => socket.close(3500, 'invalid token'),
      /closed \(3500\): invalid token; no token was sent: give --config/,
    ],
    [
      (socket) =>
        socket.send(
          `${connected}\n{"id":2,"subscribe":{}}\n{"push":{"channel":"a","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}`,
        ),
      /unsubscribed \(2000\): server unsubscribe/,
    ],
    [(socket) => socket.send('hello'), /does not speak the protocol of a gateway\n$/],
  ];
  for (const [script, message] of table) {
    const peer = await startPeer(t, script);
    t.match(await cliRun(['sub', 'a', '--url', peer.url]), { code: 1, out: '', err: message });
  }
});

t.test('an upgrade that is refused, and nobody at all', async (t) => {
  const server = createServer((_, response) => response.writeHead(403).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${portOf(server)}`;
  t.match(await cliRun(['sub', 'a', '--url', url, '--origin', 'https://a.example']), {
    code: 1,
    err: /answers the upgrade with status 403: client\.allowed_origins does not list the origin/,
  });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  t.match(await cliRun(['sub', 'a', '--url', url]), {
    code: 69,
    err: /no gateway answers at ws:.*ECONNREFUSED/,
  });
});
