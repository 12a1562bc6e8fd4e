// The operations page names a test for each procedure, and all of them exist.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';

// Tests run from the root of the repository.
const ROOT = process.cwd();
t.test('each procedure has a test', async (t) => {
  const page = await readFile(join(ROOT, 'docs/operations.md'), 'utf8');
  const [, table = ''] = /## Each procedure[^\n]*\n\n([^]*?)\n\n/.exec(page) ?? [];
  const rows = table
    .split('\n')
    .slice(2)
    .map((row) => row.split('|').map((cell) => cell.trim()));
  t.ok(rows.length >= 15);
  for (const [, procedure = '', , tests = ''] of rows) {
    const names = [...tests.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
    t.ok(names.length > 0, procedure);
    for (const name of names) t.ok(existsSync(join(ROOT, name)), `${procedure}: ${name}`);
  }
});
