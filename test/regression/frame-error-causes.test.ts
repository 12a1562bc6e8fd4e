// Connections that ended for a frame that is no WebSocket were counted as if their peers had just gone.
import { deflateRawSync } from 'node:zlib';
import t from 'tap';
import { Opcode, RawSocket, clientFrame, handshake } from '../helpers/raw-socket.ts';
import { TransportServer } from '../helpers/transport-server.ts';
import { waitFor } from '../helpers/wait-for.ts';

const inPieces = Buffer.concat(
  Array.from({ length: 17_000 }, (_, n) =>
    clientFrame('', { opcode: n === 0 ? Opcode.text : Opcode.continuation, fin: false }),
  ),
);
const compressed = (payload: Buffer): Buffer => {
  const frame = clientFrame(payload);
  frame[0] = (frame[0] ?? 0) | 0x40;
  return frame;
};

for (const [name, bytes, code, cause] of [
  ['not masked', clientFrame('{}', { masked: false }), 1002, 'protocol_error'],
  ['a reserved opcode', clientFrame('{}', { opcode: 3 }), 1002, 'protocol_error'],
  ['invalid UTF-8', clientFrame(Buffer.from([0xc3, 0x28])), 1007, 'invalid_payload'],
  ['no deflated data', compressed(Buffer.from('garbage')), 1007, 'invalid_payload'],
  ['too many pieces', inPieces, 1008, 'policy_violation'],
  ['too large', clientFrame('', { claimedBytes: 2 ** 30 }), 1009, 'message_too_big'],
  ['beyond all numbers', clientFrame('', { claimedBytes: 2 ** 60 }), 1009, 'message_too_big'],
  ['too large once inflated', compressed(deflateRawSync(Buffer.alloc(1_000_000))), 1009, 'message_too_big'],
] as const) {
  t.test(name, async (t) => {
    const server = await TransportServer.start(t, { config: { websocket: { compression: true } } });
    const raw = await RawSocket.open(t, server.parts.port);
    raw.write(handshake('/connection/websocket', ['Sec-WebSocket-Extensions: permessage-deflate']));
    t.equal(await raw.status(), 101);
    raw.write(bytes);
    t.equal(await raw.closeCode(), code);
    await waitFor('the end', () => server.lone.ends.length === 1);
    t.match(server.lone.ends[0]?.cause, { name: cause, code });
  });
}

t.test('a peer that resets has just gone', async (t) => {
  const server = await TransportServer.start(t);
  const raw = await RawSocket.upgraded(t, server.parts.port);
  await waitFor('the connection', () => server.parts.open.size === 1);
  raw.reset();
  await waitFor('the end', () => server.lone.ends.length === 1);
  t.equal(server.lone.ends[0]?.cause.name, 'connection_closed');
});
