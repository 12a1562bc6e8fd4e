// How the gateway leaves: everybody is told, nothing stays behind.
import { readdirSync } from 'node:fs';
import t from 'tap';
import { CONFIG_FILE, type Gateway, startGateway } from '../helpers/gateway.ts';
import { accepts } from '../helpers/ports.ts';
import { ProtocolClient } from '../helpers/protocol-client.ts';
import { RawSocket } from '../helpers/raw-socket.ts';
import type { Scope } from '../helpers/scope.ts';
import { waitFor } from '../helpers/wait-for.ts';

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} tells everybody, ends with 0 and leaves nothing`, async (t) => {
    const gateway = await startGateway(t, { config: { shutdown: { timeout: '4s' } } });
    const clients = await connectMany(t, gateway, 40);
    const silent = await Promise.all(Array.from({ length: 10 }, () => RawSocket.upgraded(t, gateway.port)));
    const ended = gateway.stop(signal);
    for (const client of clients) {
      t.same(await client.closeFrame(), { code: 3001, reason: 'shutdown' });
    }
    for (const raw of silent) t.equal(await raw.closeCode(), 1001);
    t.same(await ended, { code: 0, signal: null });
    await nothingLeft(gateway);
    t.pass('nothing left');
  });
}

t.test('a worker that drains takes no new clients', async (t) => {
  const gateway = await startGateway(t, { config: { shutdown: { timeout: '30s' } } });
  await connectMany(t, gateway, 200);
  gateway.child.signal('SIGTERM');
  await waitFor('the refusal of new clients', async () => {
    const opening = ProtocolClient.open(t, gateway.wsUrl).then(
      () => false,
      () => true,
    );
    return opening;
  });
  t.equal(gateway.child.exit, undefined, 'still draining');
  // A second one hurries: the rest of the thirty seconds is not used.
  t.same(await gateway.child.stop('SIGTERM', 10_000), { code: 0, signal: null });
  await nothingLeft(gateway);
});

function connectMany(scope: Scope, gateway: Gateway, count: number): Promise<ProtocolClient[]> {
  return Promise.all(Array.from({ length: count }, () => ProtocolClient.connected(scope, gateway.wsUrl)));
}

async function nothingLeft(gateway: Gateway): Promise<void> {
  await waitFor('the end of its processes', () => !gateway.child.groupIsAlive);
  const files = readdirSync(gateway.directory).filter((name) => name !== CONFIG_FILE);
  if (files.length > 0) throw new Error(`left behind: ${files.join(', ')}`);
  if (await accepts(gateway.port)) throw new Error('the port is still open');
}
