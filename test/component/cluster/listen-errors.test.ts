// What somebody who starts a gateway is told when one of its sockets cannot be opened.
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { AgentCheck } from '../../../src/cluster/load/agent-check.ts';
import { ControlServer } from '../../../src/cluster/control/control-server.ts';
import { PublicListener } from '../../../src/cluster/public-listener.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import { portOf } from '../../helpers/port-of.ts';
import { tempDir } from '../../helpers/temp-dir.ts';

const logger = createLogger({ level: 'silent', role: 'primary' });

t.test('the control socket', async (t) => {
  const file = join(await tempDir(t), 'file');
  await writeFile(file, '');
  const server = new ControlServer({ logger, methods: {} });
  await t.rejects(server.listen(join(file, 'control.sock')), {
    code: 'HOLDFAST_CONFIG',
    message: /^the directory of the control socket .*control\.sock cannot be made .*say with control\.socket/,
  });
  const path = join(await tempDir(t), 'control.sock');
  await server.listen(path);
  await t.rejects(new ControlServer({ logger, methods: {} }).listen(path), {
    code: 'HOLDFAST_UNAVAILABLE',
    message: /^a gateway serves at the control socket .*control\.sock already: `holdfast status` shows it/,
  });
  await server.close();
});

t.test('a UNIX socket for clients', async (t) => {
  const directory = join(await tempDir(t), 'nowhere');
  const listener = new PublicListener({ logger, onConnection: (socket) => socket.destroy() });
  await t.rejects(listener.listen({ kind: 'unix', path: join(directory, 'a.sock') }), {
    code: 'HOLDFAST_CONFIG',
    message: `there is no directory ${directory}: make it or choose another path`,
  });
  listener.close();
});

t.test('the port of the agent check', async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.teardown(() => other.close());
  const port = portOf(other);
  const agent = new AgentCheck({ logger, answer: () => 'up' });
  await t.rejects(agent.listen('127.0.0.1', port), {
    code: 'HOLDFAST_UNAVAILABLE',
    message: `agent check port ${port} is in use by another program: stop it or choose another`,
  });
  await agent.close();
});
