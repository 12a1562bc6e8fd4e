// A host with as many connections as it may have is reloaded all the same: the check asks for no place.
import t from 'tap';
import { OfficialClient } from '../helpers/centrifuge.ts';
import { startGateway } from '../helpers/gateway.ts';

/** Of two workers, each of which takes the half. */
const LIMIT = 4;

t.test('at the connection limit', async (t) => {
  const gateway = await startGateway(t, { config: { client: { insecure: true, connection_limit: LIMIT } } });
  const before = await gateway.workerPids();
  const clients: OfficialClient[] = [];
  for (let i = 0; i < LIMIT; i += 1) clients.push(await new OfficialClient(t, gateway.wsUrl).connect());
  const { exit, output } = await gateway.command(t, 'reload');
  t.equal(exit.code, 0, output);
  t.match(output, new RegExp(`${LIMIT} connections moved`));
  t.notOk((await gateway.workerPids()).some((pid) => before.includes(pid)));
  t.ok(clients.every((client) => client.count('disconnected') === 0));
});
