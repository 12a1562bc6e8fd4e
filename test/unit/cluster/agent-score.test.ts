import t from 'tap';
import { agentAnswer, type HostRoom, roomScore } from '../../../src/cluster/load/agent-score.ts';

const IDLE: HostRoom = {
  connections: 0,
  connectionLimit: 1000,
  loopLagMs: 0,
  cpuShare: 0,
  memoryShare: 0.1,
  outboxShare: 0,
};
const score = (over: Partial<HostRoom>): number => roomScore({ ...IDLE, ...over });

t.test('the scarcest thing decides', async (t) => {
  t.equal(score({}), 100);
  t.equal(score({ connections: 500 }), 50);
  t.equal(score({ connections: 500, cpuShare: 0.9 }), 25);
  t.equal(score({ connections: 100_000, connectionLimit: undefined }), 100);
  t.equal(score({ loopLagMs: 25 }), 100);
  t.equal(score({ loopLagMs: 262.5 }), 50);
  t.equal(score({ memoryShare: 0.75 }), 50);
  t.equal(score({ outboxShare: 0.15 }), 50);
});

t.test('a host under load keeps a little, a full one nothing', async (t) => {
  for (const over of [{ cpuShare: 1 }, { loopLagMs: 9000 }, { memoryShare: 1 }, { outboxShare: 1 }]) {
    t.equal(score(over), 5, JSON.stringify(over));
  }
  t.equal(score({ connections: 999 }), 5);
  t.equal(score({ connections: 1000 }), 0);
  t.equal(score({ connections: 1200, connectionLimit: 1000 }), 0);
});

t.test('more load never means more weight', async (t) => {
  for (const name of ['connections', 'loopLagMs', 'cpuShare', 'memoryShare', 'outboxShare'] as const) {
    const most = { connections: 1100, loopLagMs: 600, cpuShare: 1, memoryShare: 1, outboxShare: 0.3 }[name];
    let before = 100;
    for (let step = 0; step <= 50; step += 1) {
      const now = score({ [name]: (most * step) / 50 });
      t.ok(now <= before, `${name} ${step}`);
      before = now;
    }
  }
});

t.test('what HAProxy hears, from start to end', async (t) => {
  const policy = { readyMs: 10_000, rampMs: 30_000 };
  const at = (servingMs: number, draining = false, hasWorkers = true): string =>
    agentAnswer({ draining, servingMs, hasWorkers, room: IDLE }, policy);
  t.equal(at(0), 'ready up 10%\n');
  t.equal(at(9_999), 'ready up 40%\n');
  t.equal(at(10_000), 'up 40%\n', 'an operator may drain now');
  t.equal(at(15_000), 'up 55%\n');
  t.equal(at(30_000), 'up 100%\n');
  t.equal(at(99_999, false, false), 'up 0%\n', 'nobody to serve');
  t.equal(at(99_999, true), 'drain\n');
  t.equal(at(1, true), 'drain\n', 'also right after the start');
  const now = agentAnswer(
    { draining: false, servingMs: 0, hasWorkers: true, room: IDLE },
    { readyMs: 0, rampMs: 0 },
  );
  t.equal(now, 'up 100%\n');
});
