import t from 'tap';
import type { Machine } from '../../bench/measure/machine.ts';
import { markdown } from '../../bench/report/markdown.ts';
import { type Outcome, isSound, verdicts } from '../../bench/report/outcome.ts';
import { plot } from '../../bench/report/plot.ts';
import { fanout } from '../../bench/scenarios/deliveries.ts';
import { type Faults, NO_FAULTS, type Sample } from '../../bench/scenarios/scenario.ts';

const MACHINE: Machine = {
  cpu: 'a processor',
  cores: 2,
  memoryGb: 8,
  kernel: 'Linux 6',
  node: 'v20.0.0',
  descriptorsPerProcess: 1024,
  loadAverage: 0,
  versions: { ws: '8.0.0' },
};

function samples(cpuUs: readonly number[], faults: Faults = NO_FAULTS): Sample[] {
  return cpuUs.map((us) => ({ figures: { cpuUs: us }, faults, warnings: ['a doubt'] }));
}

function outcome(more: Partial<Outcome>): Outcome {
  return {
    scenario: fanout,
    variant: '',
    method: 'as written',
    acknowledge: false,
    machine: MACHINE,
    date: '2020-02-02',
    samples: new Map([
      ['bare', samples([10, 20, 10])],
      ['socket.io', samples([20, 40, 20])],
      ['holdfast', samples([10.9, 21.8, 16])],
    ]),
    failures: [],
    ...more,
  };
}

void t.test('goals are judged by the median ratio of a round', async (t) => {
  const [againstBare, againstSocketIo] = verdicts(outcome({}));
  t.match(againstBare, { result: 'met', value: 1.09 });
  t.match(againstSocketIo, { result: 'met', value: 0.545 });
  const slow = new Map([
    ['bare', samples([10])],
    ['holdfast', samples([11.1])],
  ]);
  t.same(
    verdicts(outcome({ samples: slow })).map((verdict) => verdict.result),
    ['missed', 'not measured'],
  );
});

void t.test('one fault or one unfinished measurement makes it unsound', async (t) => {
  t.equal(isSound(outcome({})), true);
  t.equal(isSound(outcome({ failures: ['holdfast, round 1: it fell'] })), false);
  for (const fault of ['lost', 'repeated', 'reordered', 'stray'] as const) {
    const faulty = new Map([['holdfast', samples([1], { ...NO_FAULTS, [fault]: 1 })]]);
    t.equal(isSound(outcome({ samples: faulty })), false, fault);
  }
});

void t.test('the report says all of it', async (t) => {
  const text = markdown(outcome({ failures: ['holdfast, round 4: it fell'] }), 'plot.svg');
  for (const part of ['plot.svg', '**met**', '1.09', 'it fell', 'a doubt', 'as written', 'a processor']) {
    t.ok(text.includes(part), part);
  }
  t.notOk(text.includes('NaN'));
});

void t.test('the plot has a bar for each server, a dot for each round and the limit', async (t) => {
  const svg = plot(outcome({}));
  t.equal(svg.match(/<circle/g)?.length, 9);
  t.equal(svg.match(/<line/g)?.length, 1);
  t.notOk(svg.includes('NaN'));
  const empty = plot(outcome({ samples: new Map([['holdfast', []]]) }));
  t.notOk(empty.includes('NaN'), 'nothing measured');
});
