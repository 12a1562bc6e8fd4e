// A process stands still (SIGSTOP) at some step of a reload: everybody waits for it, and nothing is lost.
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { startGateway } from '../helpers/gateway.ts';
import { ReloadRun } from '../helpers/reload-run.ts';

const CLIENTS = 20;
/** Longer than whoever waits for an answer about a connection takes to ask. */
const STANDSTILL_MS = 2000;

const CASES = [
  ['old', 'checking'],
  ['old', 'moving'],
  ['old', 'closing'],
  ['new', 'checking'],
  ['new', 'moving'],
  ['new', 'closing'],
  ['primary', 'moving'],
] as const;

t.test('old worker, new worker, primary', async (t) => {
  const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS } });
  const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS });
  await crowd.gather(t);
  crowd.talk();
  for (const [victim, step] of CASES) {
    await t.test(`${victim}, ${step}`, async (t) => {
      const before = await gateway.workerPids();
      const reload = await ReloadRun.begin(t, gateway);
      await reload.reaches(step);
      const pids = await gateway.workerPids();
      const worker = victim === 'old' ? before[0] : pids.find((pid) => !before.includes(pid));
      const found = victim === 'primary' ? gateway.child.pid : worker;
      if (found !== undefined && isSignalled(found, 'SIGSTOP')) {
        await delay(STANDSTILL_MS);
        isSignalled(found, 'SIGCONT');
      }
      t.equal(await reload.failure, undefined);
      t.equal(reload.steps.at(-1)?.closed, 0);
    });
  }
  await crowd.hush();
  t.same(crowd.faults().slice(0, 10), []);
  t.same(await gateway.stop(), { code: 0, signal: null });
});

/** False when the process has ended, as the old worker may have when it is closing. */
function isSignalled(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}
