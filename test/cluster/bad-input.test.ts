// Peers that break every rule: each gets its documented end in time, and the workers do not notice.
import t from 'tap';
import { startGateway } from '../helpers/gateway.ts';
import { ProtocolClient } from '../helpers/protocol-client.ts';
import { residentBytes } from '../helpers/processes.ts';
import { Opcode, RawSocket, clientFrame, handshake } from '../helpers/raw-socket.ts';
import type { Scope } from '../helpers/scope.ts';
import { waitFor } from '../helpers/wait-for.ts';

const STALE_MS = 1_500;
const CONNECT = JSON.stringify({ id: 1, connect: {} });

const gateway = await startGateway(t, {
  // So that Node gives memory back soon, and not when it likes to.
  env: { NODE_OPTIONS: '--max-old-space-size=128' },
  config: {
    client: { insecure: true, stale_close_delay: `${STALE_MS}ms`, ping_interval: '7s', pong_timeout: '6s' },
  },
});
const pidsBefore = await gateway.workerPids();

// These take their whole deadline: they wait beside the other tests.
const [trickle, silent] = [await RawSocket.open(t, gateway.port), await RawSocket.open(t, gateway.port)];
const endlessHead = Buffer.from(handshake('/connection/websocket', [`X-Long: ${'x'.repeat(4_000)}`]));
let trickled = 0;
const trickling = setInterval(() => {
  trickle.write(endlessHead.subarray(trickled, ++trickled));
}, 25);
const gone = await ProtocolClient.open(t, gateway.wsUrl, { pong: false });
t.hasStrict(await gone.command('connect'), { connect: { ping: 7, pong: true } });

t.test('bytes that are no HTTP get 400', async (t) => {
  const garbage = [
    Buffer.from('\r\n\0\x16\x03\x01\xff\xfe garbage\r\n\r\n'),
    Buffer.from('SSH-2.0-OpenSSH_9.2\r\n\r\n'),
  ];
  for (const bytes of garbage) {
    const raw = await RawSocket.open(t, gateway.port);
    raw.write(bytes);
    t.equal(await raw.status(), 400);
    await raw.closed();
  }
});

t.test('a header that is too large gets 431', async (t) => {
  const raw = await RawSocket.open(t, gateway.port);
  raw.write(handshake('/connection/websocket', [`X-Long: ${'x'.repeat(100_000)}`]));
  t.equal(await raw.status(), 431);
  await raw.closed();
});

t.test('frames that break RFC 6455', async (t) => {
  const cases: readonly (readonly [string, Buffer, number])[] = [
    ['unmasked', clientFrame(CONNECT, { masked: false }), 1002],
    ['reserved opcode', clientFrame(CONNECT, { opcode: 3 }), 1002],
    ['reserved bit', flipped(clientFrame(CONNECT), 0x40), 1002],
    ['continuation of nothing', clientFrame(CONNECT, { opcode: Opcode.continuation }), 1002],
    ['fragmented ping', clientFrame('x', { opcode: Opcode.ping, fin: false }), 1002],
    ['ping of 126 bytes', clientFrame('x'.repeat(126), { opcode: Opcode.ping }), 1002],
    ['text that is no UTF-8', clientFrame(Buffer.from([0x22, 0xff, 0xfe, 0x22])), 1007],
    ['oversize', clientFrame('x'.repeat(65_537)), 1009],
    ['announced oversize', clientFrame('', { claimedBytes: 2 ** 40 }), 1009],
    ['10 MB of newlines in one message', clientFrame('\n'.repeat(10_000_000)), 1009],
  ];
  for (const [name, bytes, code] of cases) {
    await t.test(name, async (t) => {
      const raw = await RawSocket.upgraded(t, gateway.port);
      raw.write(bytes);
      t.equal(await raw.closeCode(), code);
      await raw.closed();
    });
  }
});

t.test('messages that break the protocol', async (t) => {
  const first: readonly (readonly [string, string, number])[] = [
    ['no JSON', 'hello', 3501],
    ['half JSON', '{"id":1,"connect":{', 3501],
    ['no object', '[1,2]', 3501],
    ['deep JSON', '['.repeat(60_000), 3501],
    ['a command before connect', '{"id":1,"subscribe":{"channel":"a"}}', 3501],
    ['a pong before connect', '{}', 3501],
    ['connect without an id', '{"connect":{}}', 3501],
  ];
  for (const [name, text, code] of first) {
    await t.test(name, async (t) => {
      const client = await ProtocolClient.open(t, gateway.wsUrl);
      client.sendText(text);
      t.equal((await client.closeFrame()).code, code);
    });
  }
  const later: readonly (readonly [string, string])[] = [
    ['an unknown command', '{"id":2,"dance":{}}'],
    ['a lone ping command', '{"id":2,"ping":{}}'],
    ['a second connect', '{"id":2,"connect":{}}'],
    ['an unexpected pong', '{}'],
    ['a subscribe without a channel', '{"id":2,"subscribe":{}}'],
    ['a number as channel', '{"id":2,"subscribe":{"channel":7}}'],
    ['an id below zero', '{"id":-2,"subscribe":{"channel":"a"}}'],
  ];
  for (const [name, text] of later) {
    await t.test(name, async (t) => {
      const client = await ProtocolClient.connected(t, gateway.wsUrl);
      client.sendText(text);
      t.equal((await client.closeFrame()).code, 3501);
    });
  }
});

t.test('a binary message to a JSON connection closes it', async (t) => {
  const raw = await RawSocket.upgraded(t, gateway.port);
  raw.write(clientFrame(Buffer.from([0xff, 0x00, 0x80]), { opcode: Opcode.binary }));
  t.equal(await raw.closeCode(), 3501);
});

t.test('10 MB of newlines', async (t) => {
  const blank = '\n'.repeat(60_000);
  await t.test('in messages without a command', async (t) => {
    const client = await ProtocolClient.connected(t, gateway.wsUrl);
    for (let sent = 0; sent < 10_000_000; sent += blank.length) client.sendText(blank);
    t.equal((await client.closeFrame()).code, 3501);
  });
  await t.test('around commands', async (t) => {
    const client = await ProtocolClient.connected(t, gateway.wsUrl);
    let id = 100;
    for (let sent = 0; sent < 10_000_000; sent += blank.length) {
      client.sendText(`${blank}{"id":${++id},"publish":{"channel":"blank","data":1}}\n`);
    }
    t.hasStrict(await client.reply(id), { publish: {} });
  });
});

t.test('deep data in the connect command is taken', async (t) => {
  const depth = 10_000;
  const client = await ProtocolClient.open(t, gateway.wsUrl);
  client.sendText(`{"id":1,"connect":{"data":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}}`);
  t.hasStrict(await client.reply(1), { connect: {} });
});

t.test('a deep payload is passed on as it is', async (t) => {
  const depth = 20_000;
  const client = await ProtocolClient.connected(t, gateway.wsUrl);
  t.hasStrict(await client.command('subscribe', { channel: 'deep' }), { subscribe: {} });
  client.sendText(`{"id":9,"publish":{"channel":"deep","data":${'['.repeat(depth)}${']'.repeat(depth)}}}`);
  t.hasStrict(await client.reply(9), { publish: {} });
  let data = (await client.publication('deep'))['data'];
  let seen = 0;
  for (; Array.isArray(data); seen += 1) data = data[0];
  t.equal(seen, depth);
});

t.test('two commands with one id are answered twice', async (t) => {
  const client = await ProtocolClient.connected(t, gateway.wsUrl);
  client.send({ id: 5, subscribe: { channel: 'twice' } }, { id: 5, subscribe: { channel: 'twice' } });
  t.hasStrict(await client.reply(5), { id: 5, subscribe: {} });
  t.hasStrict(await client.reply(5), { id: 5, error: { code: 105 } });
});

t.test('a frame in two pieces, cut at every byte', async (t) => {
  const frame = clientFrame(`${CONNECT}\n{"id":2,"subscribe":{"channel":"cut"}}`);
  for (let cut = 1; cut < frame.length; cut += 1) {
    const raw = await RawSocket.upgraded(t, gateway.port);
    raw.write(frame.subarray(0, cut));
    // The kernel keeps the two apart, because the first one left at once.
    await new Promise((resolve) => setImmediate(resolve));
    raw.write(frame.subarray(cut));
    const text = await repliesOf(raw, 2);
    t.match(text, /"id":1,"connect":[^]*"id":2,"subscribe":/, `cut at ${cut}`);
    raw.socket.destroy();
  }
});

t.test('a connection that ends within a frame, at every byte', async (t) => {
  const frame = clientFrame(`${CONNECT}\n{"id":2,"subscribe":{"channel":"cut"}}`);
  for (let cut = 0; cut < frame.length; cut += 1) {
    const raw = await RawSocket.upgraded(t, gateway.port);
    raw.write(frame.subarray(0, cut));
    if (cut % 2 === 0) raw.socket.end();
    else raw.reset();
    await raw.closed();
  }
  await connectionsGone();
  t.pass('all gone');
});

t.test('a peer that closed its half is closed', async (t) => {
  const raw = await RawSocket.open(t, gateway.port, true);
  raw.write(handshake());
  t.equal(await raw.status(), 101);
  raw.write(clientFrame(CONNECT));
  await raw.frame();
  raw.socket.end();
  await waitFor('the end of the other half', () => raw.ended);
  raw.socket.destroy();
});

t.test('a peer that is silently gone is closed with 3012', async (t) => {
  t.equal((await gone.closeFrame()).code, 3012);
  t.equal(gone.pings, 1);
});

t.test('1,000 peers that never speak are closed with 3502, and their memory comes back', async (t) => {
  const silence = async (scope: Scope): Promise<void> => {
    const clients = await Promise.all(
      Array.from({ length: 1_000 }, () => RawSocket.upgraded(scope, gateway.port)),
    );
    const codes = await Promise.all(clients.map((raw) => raw.closeCode(30_000)));
    t.same([...new Set(codes)], [3502]);
    await connectionsGone();
  };
  // The first rounds fill caches and pools. What is not given back grows in every round: by 10 MB for 10 kB a connection.
  const rounds: number[] = [];
  let grownBytes = Infinity;
  while (grownBytes >= 4 * 1024 * 1024 && rounds.length < 8) {
    await silence(t);
    rounds.push(await residentBytes(pidsBefore));
    grownBytes = (rounds.at(-1) ?? 0) - (rounds.at(-2) ?? 0);
  }
  t.ok(rounds.length < 8, `resident bytes after each round: ${rounds.join(', ')}`);
});

t.test('a header that trickles, and one that never comes, get 408', async (t) => {
  t.same([await trickle.status(), await silent.status()], [408, 408]);
  clearInterval(trickling);
  await Promise.all([trickle.closed(), silent.closed()]);
});

t.test('nobody else noticed', async (t) => {
  t.same(await gateway.workerPids(), pidsBefore, 'the same workers');
  t.same(
    gateway.logs.filter(({ level }) => level === 'error' || level === 'fatal' || Number(level) >= 50),
    [],
  );
  const client = await ProtocolClient.connected(t, gateway.wsUrl);
  t.hasStrict(await client.command('publish', { channel: 'after', data: {} }), { publish: {} });
  t.same(await gateway.stop(), { code: 0, signal: null });
});

async function connectionsGone(): Promise<void> {
  await waitFor(
    'every connection to be counted out',
    async () => (await gateway.metric('connections')) === 0,
  );
}

function flipped(frame: Buffer, bits: number): Buffer {
  const copy = Buffer.from(frame);
  copy[0] = (copy[0] ?? 0) ^ bits;
  return copy;
}

/** Text of the next frames, until they hold so many replies. */
async function repliesOf(raw: RawSocket, count: number): Promise<string> {
  const lines: string[] = [];
  while (lines.length < count) {
    const frame = await raw.frame();
    if (frame === undefined) throw new Error(`ended after ${lines.join()}`);
    lines.push(...frame.payload.toString().split('\n'));
  }
  return lines.join('\n');
}
