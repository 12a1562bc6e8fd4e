import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { describePlacement, halves, ownCpus, parseCpuList, place } from '../../bench/measure/cpus.ts';

void t.test('lists of CPUs as the kernel writes them', async (t) => {
  t.same(parseCpuList('0-2,5'), [0, 1, 2, 5]);
  t.same(parseCpuList('7'), [7]);
  t.same(parseCpuList(''), []);
});

void t.test('each side gets half of the CPUs, the server the larger one', async (t) => {
  t.same(halves([0, 1]), { servers: [0], generators: [1] });
  t.same(halves([2, 3, 6]), { servers: [2, 3], generators: [6] });
  t.equal(halves([4]), undefined, 'nothing to divide');
  t.match(describePlacement(halves([0, 1])), 'server ran on CPU 0, the generators on CPU 1');
  t.match(describePlacement(undefined), 'shared all CPUs');
});

void t.test('a process is placed with all its threads', async (t) => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  const [last] = ownCpus().slice(-1);
  if (last === undefined || child.pid === undefined) throw new Error('no CPU and no process');
  place([child.pid], [last]);
  t.match(readFileSync(`/proc/${child.pid}/status`, 'utf8'), `Cpus_allowed_list:\t${last}\n`);
});
