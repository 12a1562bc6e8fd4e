// Frames of all kinds in pieces of all sizes, read past ws and by it in turns, while the connection is held and let go: the
// same messages come out, each once and in order.
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { constants, deflateRawSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { WebSocketTransport } from '../../../src/gateway/websocket-transport.ts';
import type { Connection } from '../../../src/connection/connection.ts';
import { below, pick, type Roll, seeded } from '../../helpers/random.ts';
import { clientFrame, handshake, Opcode, RawSocket } from '../../helpers/raw-socket.ts';
import { TransportServer } from '../../helpers/transport-server.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const MESSAGES = 120;
const RUNS = 12;
const OFFER =
  'Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover';
/** Around the lengths at which headers grow, and over what is read at once. */
const LENGTHS = [0, 1, 60, 85, 86, 87, 88, 125, 126, 127, 400, 5000, 12_000];
const LETTERS = ['a', 'ž', '語', '🐴', '\\n'];
/** Bytes that are written at once. */
const PIECES = [1, 2, 7, 50, 300, 4000, 70_000];

type Shape = 'text' | 'binary' | 'fragments' | 'compressed';

function dataOf(roll: Roll): string {
  return pick(roll, LETTERS).repeat(pick(roll, LENGTHS));
}

function framesOf(roll: Roll, shape: Shape, message: string): Buffer {
  const payload = Buffer.from(message);
  switch (shape) {
    case 'text':
      return clientFrame(payload);
    case 'binary':
      return clientFrame(payload, { opcode: Opcode.binary });
    case 'compressed': {
      const flushed = deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH });
      const frame = clientFrame(flushed.subarray(0, -4));
      frame[0] = (frame[0] ?? 0) | 0x40;
      return frame;
    }
    case 'fragments': {
      const cut = below(roll, payload.length);
      return Buffer.concat([
        clientFrame(payload.subarray(0, cut), { fin: false }),
        clientFrame('between', { opcode: Opcode.pong }),
        clientFrame(payload.subarray(cut), { opcode: Opcode.continuation }),
      ]);
    }
  }
}

/** As a move does that comes to nothing. */
async function holdForAMoment(connection: Connection): Promise<string> {
  await connection.hold();
  const { transport } = connection;
  if (!(transport instanceof WebSocketTransport)) throw new Error('not a WebSocket');
  const frozen = transport.freeze();
  if (typeof frozen === 'object') transport.thaw();
  connection.letGo();
  return typeof frozen === 'object' ? 'frozen' : frozen;
}

async function run(t: Test, server: TransportServer, seed: number): Promise<ReadonlyMap<string, number>> {
  const roll = seeded(seed);
  const compresses = seed % 2 === 1;
  const shapes: Shape[] = ['text', 'text', 'text', 'text', 'binary', 'fragments'];
  if (compresses) shapes.push('compressed');
  const expected = Array.from({ length: MESSAGES }, () => dataOf(roll));
  const stream = Buffer.concat([
    clientFrame('{"id":1,"connect":{}}'),
    ...expected.map((data, index) =>
      framesOf(roll, pick(roll, shapes), `{"id":${index + 2},"rpc":{"data":"${data}"}}`),
    ),
  ]);
  const { lone } = server;
  lone.commands.length = 0;
  lone.handler = async (connection, command) => {
    if (roll() < 0.3) await nextTurn();
    if (command.kind === 'connect') lone.answer(connection, command);
  };
  const client = await RawSocket.open(t, server.parts.port);
  client.write(handshake('/connection/websocket', compresses ? [OFFER] : []));
  t.equal(await client.status(), 101);
  const connection = await waitFor('the connection', () => server.parts.open.all()[0]);
  const outcomes = new Map<string, number>();
  for (let at = 0; at < stream.length;) {
    const piece = stream.subarray(at, at + 1 + below(roll, pick(roll, PIECES)));
    client.write(piece);
    at += piece.length;
    if (roll() < 0.5) await nextTurn();
    if (roll() < 0.05) {
      const outcome = await holdForAMoment(connection);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  }
  await waitFor('all messages', () => lone.commands.length > MESSAGES || connection.isClosed);
  const found = lone.commands.slice(1).map((command) => (command.kind === 'rpc' ? command.data : undefined));
  t.strictSame(
    found.map((data) => data?.toString()),
    expected.map((data) => `"${data}"`),
  );
  const closed = once(client.socket, 'close');
  client.socket.destroy();
  await closed;
  await waitFor('the end', () => server.parts.open.size === 0);
  return outcomes;
}

void t.test('nothing is lost, repeated or overtaken', async (t) => {
  const server = await TransportServer.start(t, { config: { websocket: { compression: true } } });
  const outcomes = new Map<string, number>();
  for (let seed = 1; seed <= RUNS; seed += 1) {
    await t.test(`seed ${seed}`, async (t) => {
      for (const [outcome, count] of await run(t, server, seed)) {
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + count);
      }
    });
  }
  t.ok((outcomes.get('frozen') ?? 0) > 0, 'it was held in the middle of it');
});
