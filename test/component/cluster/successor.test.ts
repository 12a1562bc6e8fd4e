// The primary that is to replace another one hangs: it is not waited for.
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { MoveRelay } from '../../../src/cluster/moves/move-relay.ts';
import { Successor } from '../../../src/cluster/moves/successor.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import { EchoHost } from '../../helpers/echo-host.ts';
import { waitFor } from '../../helpers/wait-for.ts';

t.test('one that answers nothing any more is killed', async (t) => {
  const host = await EchoHost.start(t, { workers: 1 });
  await host.ready(1);
  const relay = new MoveRelay({
    logger: createLogger({ level: 'silent', role: 'primary' }),
    onArrived: () => undefined,
    otherWorker: () => undefined,
  });
  t.teardown(() => relay.close());
  const successor = new Successor(
    {
      program: fileURLToPath(new URL('../../helpers/hanging-primary.js', import.meta.url)),
      args: [],
      node: process.execPath,
      nodeArgs: [],
      environment: process.env,
      sockets: [],
    },
    {
      supervisor: host.supervisor,
      relay,
      facts: { config: {}, engineSocketPath: '', servingSinceMs: 0 },
      onReport: () => undefined,
      onWorkerGone: () => undefined,
      onConnection: (socket) => socket.destroy(),
      onStop: () => true,
    },
    { intervalMs: 50, slowMs: 1000, hungMs: 2000 },
  );
  t.teardown(() => successor.end({ overMs: 0, killAfterMs: 0 }));
  await successor.ready();
  t.ok(successor.isAlive);
  await waitFor('its end', () => !successor.isAlive, 60_000);
  t.match(successor.endText, /did not answer/);
});
