// A client that sent more than 60 ping frames at once was cut off without a close frame.
import t from 'tap';
import { Opcode, RawSocket, clientFrame } from '../helpers/raw-socket.ts';
import { TransportServer } from '../helpers/transport-server.ts';
import { waitFor } from '../helpers/wait-for.ts';

const ping = (payload: string): Buffer => clientFrame(payload, { opcode: Opcode.ping });

for (const path of ['/connection/websocket', '/connection/uni_websocket']) {
  t.test(`every ping gets its pong on ${path}`, async (t) => {
    const server = await TransportServer.start(t);
    const raw = await RawSocket.upgraded(t, server.parts.port, path);
    const payloads = Array.from({ length: 900 }, (_, n) => `ping ${n}`);
    payloads[5] = 'x'.repeat(125);
    payloads[6] = '';
    raw.write(Buffer.concat(payloads.map(ping)));
    for (const payload of payloads) {
      t.same(await raw.frame(), { opcode: Opcode.pong, payload: Buffer.from(payload) });
    }
    t.notOk(server.connection.isClosed);
  });
}

t.test('a flood of pings is told to stop', async (t) => {
  const server = await TransportServer.start(t);
  const raw = await RawSocket.upgraded(t, server.parts.port);
  raw.write(Buffer.concat(Array.from({ length: 20_000 }, () => ping(''))));
  t.equal(await raw.closeCode(), 3013);
  await waitFor('the end', () => server.parts.open.size === 0);
  t.equal(server.lone.ends[0]?.cause.name, 'too_many_requests');
});
