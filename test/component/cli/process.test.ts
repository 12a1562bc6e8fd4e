import { join } from 'node:path';
import t from 'tap';
import { Child } from '../../helpers/child.ts';
import { MAIN } from '../../helpers/program.ts';
import { tempDir } from '../../helpers/temp-dir.ts';
import type { Scope } from '../../helpers/scope.ts';

async function run(scope: Scope, ...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = new Child(scope, process.execPath, [MAIN, ...args]);
  const { code } = await child.exited;
  return { code, output: child.output };
}

t.test('exit codes of the program', async (t) => {
  const table: readonly (readonly [args: string[], code: number, output: RegExp])[] = [
    [['--version'], 0, /^\d+\.\d+\.\d+\n$/],
    [['check', '/nowhere.yaml'], 78, /cannot be read: no such file/],
    [['check-token', 'x', '--secret'], 2, /unknown option/],
    [['check-token', 'x'], 1, /token is not a JWT/],
    [['pub', 'a', '1', '--url', 'http://127.0.0.1:9'], 69, /no gateway answers/],
  ];
  for (const [args, code, output] of table) {
    const ended = await run(t, ...args);
    t.equal(ended.code, code, args.join(' '));
    t.match(ended.output, output);
  }
});

t.test('nobody reads what it says', async (t) => {
  const absent = join(await tempDir(t), 'nobody.sock');
  const command = `HOLDFAST_CONTROL_SOCKET='${absent}' '${process.execPath}' '${MAIN}' status`;
  const child = new Child(t, '/bin/bash', ['-c', `${command} 2>&1 | true; exit \${PIPESTATUS[0]}`]);
  t.match(await child.exited, { code: 69 });
});

t.test('a reader that has seen enough ends it in peace', async (t) => {
  const child = new Child(t, '/bin/sh', ['-c', `'${process.execPath}' '${MAIN}' schema | head -c 1`]);
  t.match(await child.exited, { code: 0 });
  t.equal(child.output, '{');
});
