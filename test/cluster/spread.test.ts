// Who gets which connection: bursts spread evenly, a `sid` leads back, a dying worker strands nobody.
import t from 'tap';
import { startGateway } from '../helpers/gateway.ts';
import { ProtocolClient } from '../helpers/protocol-client.ts';
import { RawSocket, handshake } from '../helpers/raw-socket.ts';
import { waitFor } from '../helpers/wait-for.ts';

t.test('1,000 connections opened at once are spread evenly', async (t) => {
  const workers = 3;
  const count = 1_000;
  const gateway = await startGateway(t, {
    workers,
    config: { client: { insecure: true, stale_close_delay: '60s' } },
  });
  const sockets = await Promise.all(Array.from({ length: count }, () => RawSocket.open(t, gateway.port)));
  // All are accepted before the first asks for anything: the requests come in one burst.
  for (const socket of sockets) socket.write(handshake());
  const statuses = await Promise.all(sockets.map((socket) => socket.status()));
  t.same([...new Set(statuses)], [101]);
  await waitFor('all to be counted', async () => (await gateway.metric('connections')) === count);
  for (let worker = 1; worker <= workers; worker += 1) {
    const share = (await gateway.metric('worker_connections', `worker="${worker}"`)) / (count / workers);
    t.ok(share > 0.9 && share < 1.1, `worker ${worker} has ${share.toFixed(3)} of its share`);
  }
});

t.test('a worker that dies while connections arrive strands none of them', async (t) => {
  const gateway = await startGateway(t, { workers: 3 });
  const [victim = 0] = await gateway.workerPids();
  let answered = 0;
  const arrive = async (): Promise<'open' | 'refused' | 'cut'> => {
    const socket = await RawSocket.open(t, gateway.port);
    socket.write(handshake());
    // Waiting for neither an answer nor an end would be the fault.
    const status = await socket.status();
    answered += 1;
    if (answered === 200) process.kill(victim, 'SIGKILL');
    if (status === 101) return 'open';
    return status === 503 ? 'refused' : 'cut';
  };
  const outcomes = await Promise.all(Array.from({ length: 1_000 }, arrive));
  const opened = outcomes.filter((outcome) => outcome === 'open').length;
  t.equal(outcomes.length, 1_000, 'each had an answer or an end');
  t.ok(opened >= 600, `${opened} opened`);
  const client = await ProtocolClient.connected(t, gateway.wsUrl);
  t.hasStrict(await client.command('publish', { channel: 'a', data: 1 }), { publish: {} });
});
