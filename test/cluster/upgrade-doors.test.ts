// Every door of a gateway over replacements of its primary: open throughout, at the same place, gone in the end.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { Gateway, startGateway } from '../helpers/gateway.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { stopCurrent } from '../helpers/upgrading.ts';
import { agentOf, agentPort, internalPort, pageOf, PassersBy, Visitors } from '../helpers/visitors.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 20;
const PASSERS_BY_PER_SECOND = Number(process.env['TEST_PASSERS_BY'] ?? 100);
const ROUNDS = 2;

t.test('TCP port, UNIX socket, internal port and agent check', async (t) => {
  const socketPath = join(await tempDir(t), 'public.sock');
  const gateway = await startGateway(t, {
    config: {
      channel: CROWD_CHANNELS,
      http_server: { unix_socket: socketPath, internal_port: 0 },
      // The word `ready` belongs to a start, and this is none.
      agent_check: { enabled: true, address: '127.0.0.1', port: 0, ready_time: '1s', ramp: '0s' },
    },
  });
  const backEnd = { port: internalPort(gateway) };
  const inside = new Gateway(gateway.child, backEnd.port, gateway.directory);
  const url = [gateway.wsUrl, `ws+unix:${socketPath}:/connection/websocket`];
  const crowd = new Crowd({ gateway: inside, url, clients: CLIENTS });
  await crowd.gather(t);
  crowd.talk();
  const agent = agentOf(agentPort(gateway));
  await waitFor('the end of the start', () =>
    agent().then(
      () => true,
      () => false,
    ),
  );

  const visitors = {
    'TCP port': new Visitors(t, pageOf({ port: gateway.port }, '/readyz')),
    'UNIX socket': new Visitors(t, pageOf({ socketPath }, '/readyz')),
    'internal port': new Visitors(t, pageOf(backEnd, '/readyz')),
    figures: new Visitors(t, pageOf(backEnd, '/metrics')),
    agent: new Visitors(t, agent),
  };
  const passersBy = new PassersBy(t, gateway.wsUrl, PASSERS_BY_PER_SECOND);
  for (let round = 1; round <= ROUNDS; round += 1) {
    const { exit, output } = await gateway.command(t, 'upgrade');
    t.equal(exit.code, 0, output);
    for (const each of Object.values(visitors)) await each.untilServed(5);
  }
  await passersBy.stop();
  for (const [door, each] of Object.entries(visitors)) {
    await each.stop();
    t.same(each.refused, [], `${door}: ${each.served} served`);
  }
  t.same(passersBy.failed.slice(0, 5), []);
  t.comment(`${passersBy.connected} passers-by`);
  await crowd.hush();
  t.same(crowd.faults().slice(0, 10), []);
  t.equal(await inside.metric('connections'), CLIENTS);
  await stopCurrent(gateway);
  t.notOk(existsSync(socketPath));
});
