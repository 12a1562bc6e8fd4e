// A primary that was killed left its directory in /tmp for ever.
import { existsSync, readdirSync, symlinkSync } from 'node:fs';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { startGateway } from '../helpers/gateway.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { waitFor } from '../helpers/wait-for.ts';

/** Above the kernel's largest. */
const DEAD_PID = 4_194_305;

t.test('a start removes what killed primaries left, and nothing else', async (t) => {
  const temporary = await tempDir(t);
  const env = { TMPDIR: temporary };
  const killed = await startGateway(t, { workers: 1, env });
  const left = killed.child.pid;
  await killed.stop('SIGKILL');
  const [of = ''] = readdirSync(temporary).filter((name) => name.startsWith(`holdfast-${left}-`));
  t.ok(existsSync(join(temporary, of, 'engine.sock')));

  const make = async (name: string): Promise<string> => {
    const path = join(temporary, name);
    await mkdir(path);
    await writeFile(join(path, 'file'), '');
    return path;
  };
  const dead = await make(`holdfast-${DEAD_PID}-abcdef`);
  const alive = await make(`holdfast-${process.pid}-abcdef`);
  const foreign = await make(`holdfast-${DEAD_PID}-abcdefg`);
  const served = await make(`holdfast-${DEAD_PID}-served`);
  const server = createServer().listen(join(served, 'engine.sock'));
  t.teardown(() => server.close());
  const old = new Date(Date.now() - 60_000);
  for (const path of [join(temporary, of), dead, alive, foreign, served]) await utimes(path, old, old);
  const young = await make(`holdfast-${DEAD_PID}-young1`);
  const link = join(temporary, `holdfast-${DEAD_PID}-linked`);
  symlinkSync(foreign, link);

  const next = await startGateway(t, { workers: 1, env });
  t.same(
    [of, dead].map((path) => existsSync(join(temporary, path)) || existsSync(path)),
    [false, false],
  );
  t.ok([alive, foreign, served, young, link, join(foreign, 'file')].every(existsSync));
  t.match(next.logged('removed what killed primaries left'), [{ directories: { length: 2 } }]);
  await next.stop();
  await waitFor(
    'its own to be gone',
    () => !readdirSync(temporary).some((name) => name.includes(`-${next.child.pid}-`)),
  );
});
