import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { cpuMs, memory, processTree } from '../../bench/measure/processes.ts';

/** A process with one child, both alive until killed; the child writes its pid. */
const FAMILY = `
  const { spawn } = require('node:child_process');
  spawn(process.execPath, ['-e', 'console.log(process.pid); setInterval(() => {}, 1000)'], { stdio: 'inherit' });
  setInterval(() => {}, 1000);
`;

void t.test('a process and its descendants are found, while they live', async (t) => {
  const parent = spawn(process.execPath, ['-e', FAMILY], { stdio: ['ignore', 'pipe', 'inherit'] });
  let childPid = 0;
  t.teardown(() => {
    parent.kill('SIGKILL');
    if (childPid > 0) process.kill(childPid, 'SIGKILL');
  });
  const [line] = await once(parent.stdout, 'data');
  childPid = Number(String(line).trim());
  t.same(new Set(processTree(parent.pid ?? 0)), new Set([parent.pid, childPid]));
  t.same(processTree(0x7fffffff), [], 'no such process');

  const both = memory([parent.pid ?? 0, childPid]);
  const one = memory([childPid]);
  t.ok(one.rssKb > 10_000 && both.rssKb > one.rssKb + 10_000, 'the memory of all of them');
});

void t.test('CPU time is what the process itself says it used', async (t) => {
  const before = process.cpuUsage();
  const beforeMs = cpuMs([process.pid]);
  let spun = 0;
  while (process.cpuUsage(before).user < 150_000) spun++;
  const used = process.cpuUsage(before);
  const measuredMs = cpuMs([process.pid]) - beforeMs;
  const ownMs = (used.user + used.system) / 1000;
  t.ok(spun > 0);
  t.ok(Math.abs(measuredMs - ownMs) < 0.2 * ownMs + 20, `${measuredMs} ms measured, ${ownMs} ms own`);
});
