// What came out of a scenario: samples by server and round, judged against its goals.
import type { Machine } from '../measure/machine.ts';
import { median, medianRatio } from '../measure/statistics.ts';
import type { Faults, Goal, Sample, Scenario } from '../scenarios/scenario.ts';

export interface Outcome {
  readonly scenario: Scenario;
  /** Ends the names of the files: empty, or how this run differs from the usual. */
  readonly variant: string;
  readonly method: string;
  readonly acknowledge: boolean;
  readonly machine: Machine;
  readonly date: string;
  /** In the order of the rounds; all servers measured in the same order within each. */
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
  /** Measurements that could not be finished. */
  readonly failures: readonly string[];
}

export interface Verdict {
  readonly text: string;
  readonly value: number;
  readonly atMost: number;
  readonly result: 'met' | 'missed' | 'not measured';
}

export function medianOf(outcome: Outcome, subject: string, figure: string): number {
  return median(valuesOf(outcome, subject, figure));
}

export function valuesOf(outcome: Outcome, subject: string, figure: string): number[] {
  return (outcome.samples.get(subject) ?? []).map((sample) => sample.figures[figure] ?? Number.NaN);
}

export function verdicts(outcome: Outcome): Verdict[] {
  return outcome.scenario.goals.map((goal) => verdict(outcome, goal));
}

function verdict(outcome: Outcome, goal: Goal): Verdict {
  const figure = outcome.scenario.figures.find((known) => known.key === goal.figure);
  const label = figure?.label ?? goal.figure;
  const own = valuesOf(outcome, goal.of, goal.figure);
  const { against } = goal;
  const value =
    against === undefined
      ? median(own)
      : medianRatio(own, valuesOf(outcome, against.subject, against.figure ?? goal.figure));
  const text =
    against === undefined
      ? `${goal.of}: ${label} at most ${goal.atMost} ${figure?.unit ?? ''}`.trim()
      : `${goal.of}: ${label} at most ${goal.atMost.toFixed(2)} × ${against.subject}`;
  const result = Number.isNaN(value) ? 'not measured' : value <= goal.atMost ? 'met' : 'missed';
  return { text, value, atMost: goal.atMost, result };
}

export function totalFaults(outcome: Outcome): Faults {
  const total = { lost: 0, repeated: 0, reordered: 0, stray: 0 };
  for (const sample of [...outcome.samples.values()].flat()) {
    total.lost += sample.faults.lost;
    total.repeated += sample.faults.repeated;
    total.reordered += sample.faults.reordered;
    total.stray += sample.faults.stray;
  }
  return total;
}

/** No message lost, repeated or reordered, and every measurement finished. */
export function isSound(outcome: Outcome): boolean {
  const { lost, repeated, reordered, stray } = totalFaults(outcome);
  return lost + repeated + reordered + stray === 0 && outcome.failures.length === 0;
}
