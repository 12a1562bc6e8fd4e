// An internal port that another program has ended every worker with a stack trace instead of a reason.
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { Child } from '../helpers/child.ts';
import { portOf } from '../helpers/port-of.ts';
import { MAIN } from '../helpers/program.ts';
import { tempDir } from '../helpers/temp-dir.ts';

t.test('the log says which port is taken, and the gateway does not serve', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const port = portOf(other);
  const directory = await tempDir(t);
  const config = join(directory, 'config.json');
  const http_server = { port: 0, internal_port: port, internal_address: '127.0.0.1' };
  await writeFile(
    config,
    JSON.stringify({ workers: 1, http_server, control: { socket: join(directory, 'c.sock') } }),
  );
  const child = new Child(t, process.execPath, [MAIN, 'serve', '--config', config]);
  t.same(await child.exited, { code: 1, signal: null });
  t.match(
    child.output,
    `"reason":"internal port ${port} is in use by another program: stop it or choose another"`,
  );
  t.notMatch(child.output, /^ {4}at /m, 'without a trace of our own code');
  other.close();
});
