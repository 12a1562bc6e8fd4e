// Every step of a deployment with every event, and where one begins.
import t from 'tap';
import {
  advance,
  BACK_STEPS,
  begin,
  BY_COMMAND,
  type DeployRecord,
  FORWARD_STEPS,
  planDeploy,
  type Step,
  stepText,
  undo,
} from '../../../src/deploy/plan.ts';

const at = (step: Step, over: Partial<DeployRecord> = {}): DeployRecord => ({
  ...begin('blue', 'green', 1000),
  step,
  ...over,
});

const plan = (over: Partial<Parameters<typeof planDeploy>[0]>): DeployRecord | string =>
  planDeploy({ record: undefined, serving: [], inFront: [], to: undefined, nowMs: 2000, ...over });

t.test('each step × event', async (t) => {
  // [step, after 'done', after 'failed']
  const table: readonly (readonly [Step, Step, Step])[] = [
    ['hold', 'start', 'restore'],
    ['start', 'canary', 'restore'],
    ['canary', 'shift', 'restore'],
    ['shift', 'settle', 'restore'],
    ['settle', 'drain', 'restore'],
    ['drain', 'stop', 'restore'],
    ['stop', 'deployed', 'stop'],
    ['restore', 'empty', 'restore'],
    ['empty', 'remove', 'empty'],
    ['remove', 'undone', 'remove'],
    ['deployed', 'deployed', 'deployed'],
    ['undone', 'undone', 'undone'],
  ];
  t.equal(table.length, FORWARD_STEPS.length + BACK_STEPS.length + 2);
  for (const [step, done, failed] of table) {
    t.equal(advance(at(step), { type: 'done' }).step, done, `${step}, done`);
    const after = advance(at(step), { type: 'failed', reason: 'why' });
    t.equal(after.step, failed, `${step}, failed`);
    t.equal(after.failure, failed === 'restore' && step !== 'restore' ? 'why' : null);
  }
});

t.test('the first reason is the one that is kept', async (t) => {
  const back = advance(at('restore', { failure: 'first' }), { type: 'done' });
  t.equal(advance(back, { type: 'failed', reason: 'second' }).failure, 'first');
});

t.test('undoing', async (t) => {
  for (const step of FORWARD_STEPS)
    t.match(undo(at(step), 2000), { step: 'restore', failure: BY_COMMAND }, step);
  for (const step of BACK_STEPS) t.same(undo(at(step), 2000), at(step), step);
  t.same(undo(at('deployed'), 2000), begin('green', 'blue', 2000), 'the other way round');
  t.match(undo(at('undone'), 2000), /undone already/);
  t.match(undo(at('deployed', { from: null }), 2000), /nothing before green/);
});

t.test('where it begins', async (t) => {
  t.same(plan({}), begin(null, 'blue', 2000));
  t.same(plan({ to: 'green' }), begin(null, 'green', 2000));
  t.same(plan({ serving: ['green'] }), begin('green', 'blue', 2000));
  t.same(plan({ serving: ['blue'], to: 'green' }), begin('blue', 'green', 2000));
  t.match(plan({ serving: ['blue'], to: 'blue' }), /blue serves already/);
  t.match(plan({ serving: ['blue', 'green'] }), /both colours serve/);
  t.same(plan({ serving: ['blue', 'green'], to: 'blue' }), begin('green', 'blue', 2000));
  for (const step of ['deployed', 'undone'] as const) {
    t.same(plan({ record: at(step), serving: ['green'] }), begin('green', 'blue', 2000), step);
  }
  for (const step of [...FORWARD_STEPS, ...BACK_STEPS]) {
    t.same(plan({ record: at(step), serving: ['blue'] }), at(step), `goes on at ${step}`);
    t.same(plan({ record: at(step), to: 'green' }), at(step));
    t.match(plan({ record: at(step), to: 'blue' }), /to green is under way/);
  }
});

t.test('a colour that cannot be asked is not taken for one that is not there', async (t) => {
  const up = { colour: 'blue', isUp: true, sessions: 0 } as const;
  const busy = { colour: 'blue', isUp: false, sessions: 3 } as const;
  for (const to of [undefined, 'blue', 'green'] as const) {
    t.match(plan({ inFront: [up], to }), /HAProxy finds blue up.*--control/);
    t.match(plan({ inFront: [busy], to }), /HAProxy has clients on blue.*--control/);
    t.match(plan({ record: at('deployed'), to }), /left green serving.*--control/);
    t.match(plan({ record: at('undone'), to }), /left blue serving.*--control/);
  }
  t.match(plan({ serving: ['green'], inFront: [up] }), /finds blue up/);
  t.same(plan({ serving: ['green'], inFront: [busy] }), begin('green', 'blue', 2000), 'clients that leave');
  t.same(plan({ serving: ['blue'], inFront: [up] }), begin('blue', 'green', 2000));
  t.same(plan({ record: at('undone', { from: null }) }), begin(null, 'blue', 2000), 'nobody served before');
  t.same(plan({ record: at('start'), inFront: [up] }), at('start'), 'what is under way goes on');
});

t.test('each step has words', async (t) => {
  t.equal(stepText(at('shift'), 'shift'), 'send new clients to green, none to blue');
  t.equal(stepText(at('undone'), 'undone'), 'undone: blue serves, green does not');
});
