// The gateway itself is replaced, again and again, while official clients talk and others arrive: none of them notices.
import t from 'tap';
import { CROWD_CHANNELS, Crowd } from '../helpers/crowd.ts';
import { startGateway } from '../helpers/gateway.ts';
import { BUILT_MAIN } from '../helpers/program.ts';
import { startRedis } from '../helpers/redis.ts';
import { currentPrimary, currentWorkers, primaryPids, stopCurrent } from '../helpers/upgrading.ts';
import { pageOf, Visitors } from '../helpers/visitors.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = Number(process.env['TEST_CLIENTS'] ?? 30);

for (const [engine, rounds] of [
  ['memory', 3],
  ['redis', 1],
] as const) {
  t.test(
    `${engine}: nobody is disconnected or refused, nothing is missing, repeated or swapped`,
    async (t) => {
      const redis = engine === 'redis' ? { address: `unix://${(await startRedis(t)).path}` } : {};
      const gateway = await startGateway(t, {
        program: BUILT_MAIN,
        config: { channel: CROWD_CHANNELS, engine: { type: engine, redis } },
      });
      const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS });
      await crowd.gather(t);
      crowd.talk();
      const visitors = new Visitors(t, pageOf({ port: gateway.port }, '/healthz'));
      for (let round = 1; round <= rounds; round++) {
        const [primary, workers] = [currentPrimary(gateway), await currentWorkers(gateway)];
        const { exit, output } = await gateway.command(t, 'upgrade');
        t.equal(exit.code, 0, output);
        t.match(output, new RegExp(`upgraded: process \\d+ is the gateway, ${CLIENTS} connections moved\n`));
        t.equal(primaryPids(gateway).length, round + 1);
        t.not(currentPrimary(gateway), primary);
        t.notOk((await currentWorkers(gateway)).some((pid) => workers.includes(pid)));
        await waitFor('the end of the old primary', () => !isAlive(primary));
      }
      await visitors.stop();
      await crowd.hush();
      t.same(crowd.faults().slice(0, 20), []);
      t.same(visitors.refused, []);
      t.ok(visitors.served > rounds * 10, `${visitors.served} others came and were served`);
      t.equal(await gateway.metric('connections'), CLIENTS);
      await stopCurrent(gateway);
    },
  );
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
