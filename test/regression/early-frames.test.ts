// Frames that came in one piece with the upgrade were lost, and what came next was misread; such a client waited in vain.
import t from 'tap';
import { startGateway } from '../helpers/gateway.ts';
import { clientFrame, handshake, RawSocket } from '../helpers/raw-socket.ts';
import { waitFor } from '../helpers/wait-for.ts';

t.test('commands behind the upgrade are carried out, wherever they are cut', async (t) => {
  const gateway = await startGateway(t, { workers: 1, config: { client: { insecure: true } } });
  const upgrade = Buffer.from(handshake('/connection/websocket'));
  const connect = clientFrame('{"id":1,"connect":{}}');
  const subscribe = clientFrame(`{"id":2,"subscribe":{"channel":"news"}}${' '.repeat(20_000)}`);
  const bytes = Buffer.concat([upgrade, connect, subscribe]);
  for (const cut of [bytes.length, upgrade.length + 1, upgrade.length + connect.length, bytes.length - 5]) {
    const raw = await RawSocket.open(t, gateway.port);
    raw.write(bytes.subarray(0, cut));
    t.equal(await raw.status(), 101);
    raw.write(bytes.subarray(cut));
    await waitFor('both replies', () => raw.text.includes('"connect"') && raw.text.includes('"subscribe"'));
  }
});
