// The state of a deployment in its file, and its lock.
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Journal } from '../../../src/deploy/journal.ts';
import { begin } from '../../../src/deploy/plan.ts';
import { tempDir } from '../../helpers/temp-dir.ts';

t.test('remembers', async (t) => {
  const directory = join(await tempDir(t), 'made');
  const journal = new Journal(join(directory, 'deploy.json'));
  t.equal(journal.read(), undefined);
  const record = begin('blue', 'green', 1000);
  journal.write(record);
  journal.write({ ...record, step: 'drain' });
  t.same(new Journal(join(directory, 'deploy.json')).read(), { ...record, step: 'drain' });
  t.same(readdirSync(directory), ['deploy.json'], 'and leaves nothing beside it');
});

t.test('takes nothing else for a state', async (t) => {
  const path = join(await tempDir(t), 'deploy.json');
  for (const text of ['', 'no JSON', '{}', JSON.stringify({ ...begin('blue', 'green', 1), step: 'else' })]) {
    writeFileSync(path, text);
    t.throws(() => new Journal(path).read(), { code: 'HOLDFAST_CONFIG' }, text);
  }
  t.throws(() => new Journal(join(path, 'below')).write(begin(null, 'blue', 1)), { code: 'HOLDFAST_CONFIG' });
});

t.test('one at a time', async (t) => {
  const path = join(await tempDir(t), 'deploy.json');
  const unlock = new Journal(path).lock();
  t.throws(() => new Journal(path).lock(), {
    code: 'HOLDFAST_UNAVAILABLE',
    message: `process ${process.pid}`,
  });
  unlock();
  t.notOk(existsSync(`${path}.lock`));
  // Of a process that was killed: no process has this number.
  writeFileSync(`${path}.lock`, '4194305\n');
  new Journal(path).lock()();
  writeFileSync(`${path}.lock`, 'half');
  new Journal(path).lock()();
});
