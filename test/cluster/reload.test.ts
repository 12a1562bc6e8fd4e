// All workers are replaced, again and again, while official clients talk through HAProxy and TLS: none of them notices.
import { readdirSync } from 'node:fs';
import t from 'tap';
import { CROWD_CHANNELS, Crowd } from '../helpers/crowd.ts';
import { startGateway } from '../helpers/gateway.ts';
import { startHaproxy } from '../helpers/haproxy.ts';
import { startRedis } from '../helpers/redis.ts';
import { waitFor } from '../helpers/wait-for.ts';

/** `npm run proof:reloads` asks for more. */
const CLIENTS = Number(process.env['TEST_CLIENTS'] ?? 60);
const RELOADS = Number(process.env['TEST_RELOADS'] ?? 3);

for (const engine of ['memory', 'redis'] as const) {
  t.test(`${engine}: nobody is disconnected, nothing is missing, repeated or swapped`, async (t) => {
    const redis = engine === 'redis' ? { address: `unix://${(await startRedis(t)).path}` } : {};
    const gateway = await startGateway(t, {
      config: { channel: CROWD_CHANNELS, engine: { type: engine, redis } },
    });
    const front = await startHaproxy(t, { to: `127.0.0.1:${gateway.port}` });
    const crowd = new Crowd({
      gateway,
      url: front.wssUrl,
      clients: CLIENTS,
      socket: { ca: front.certificate },
    });
    await crowd.gather(t);
    const descriptors = (): number => readdirSync(`/proc/${gateway.child.pid}/fd`).length;
    const before = descriptors();
    crowd.talk();
    for (let round = 1; round <= RELOADS; round++) {
      const old = await gateway.workerPids();
      const { exit, output } = await gateway.command(t, 'reload');
      if (RELOADS > 3)
        t.comment(`${engine}: reload ${round} of ${RELOADS}: ${output.trim().split('\n').at(-1) ?? ''}`);
      t.equal(exit.code, 0, output);
      const after = await gateway.workerPids();
      t.notOk(
        after.some((pid) => old.includes(pid)),
        'all workers are new',
      );
    }
    await crowd.hush();
    t.same(crowd.faults().slice(0, 20), []);
    t.equal(await gateway.metric('handoff_connections_total', 'moved'), RELOADS * (CLIENTS + 2));
    t.equal(await gateway.metric('connections'), CLIENTS);
    t.comment(`${engine}: ${crowd.sent} messages sent by ${CLIENTS} clients and the server API`);
    await waitFor('no descriptor to stay open in the primary', () => descriptors() <= before);
  });
}
