import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { processLives } from '../../../src/util/process-lives.ts';

t.test('a process that was waited for does not live any more', async (t) => {
  const child = spawn(process.execPath, ['--eval', 'process.stdin.resume()']);
  const { pid = 0 } = child;
  t.ok(processLives(pid));
  child.stdin.end();
  await once(child, 'exit');
  t.notOk(processLives(pid));
  t.ok(processLives(1), 'also when it is not ours');
});
