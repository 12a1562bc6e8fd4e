// All workers are replaced, again and again, while official clients talk through HAProxy and TLS: none of them notices.
import t from 'tap';
import { CROWD_CHANNELS, Crowd } from '../helpers/crowd.ts';
import { startGateway } from '../helpers/gateway.ts';

const CLIENTS = Number(process.env['HOLDFAST_TEST_CLIENTS'] ?? 40);
const RELOADS = Number(process.env['HOLDFAST_TEST_RELOADS'] ?? 3);

t.test('embedded engine', async (t) => {
  const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS } });
  const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS });
  await crowd.gather(t);
  crowd.talk();
  for (let round = 1; round <= RELOADS; round++) {
    const before = await gateway.workerPids();
    const { exit, output } = await gateway.command(t, 'reload');
    t.equal(exit.code, 0, output);
    const after = await gateway.workerPids();
    t.notOk(
      after.some((pid) => before.includes(pid)),
      'all workers are new',
    );
  }
  await crowd.hush();
  t.same(crowd.faults().slice(0, 20), []);
  t.comment(
    `${crowd.sent} publications, ${await gateway.metric('handoff_connections_total', 'moved')} moves`,
  );
});
