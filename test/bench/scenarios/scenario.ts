// What a scenario is to the runner: servers to compare, one measurement of one server, and what the figures must meet.
import type { GeneratorProcess } from '../load/generator-process.ts';
import type { ServerUnderTest } from '../servers/running.ts';
import type { Subject } from '../servers/subjects.ts';

export interface Run {
  /** Everything small: proves that it works, measures nothing. */
  readonly smoke: boolean;
  /** Peers acknowledge publications as Holdfast does. */
  readonly acknowledge: boolean;
  /** Length of the measured window; undefined: the scenario's own. */
  readonly durationMs: number | undefined;
  /** Starts a server or a generator that the runner stops when the measurement is over. */
  server(subject: Subject): Promise<ServerUnderTest>;
  generator(name: string, options?: { firstPublisher?: number; light?: boolean }): GeneratorProcess;
  progress(text: string): void;
}

export interface Faults {
  readonly lost: number;
  readonly repeated: number;
  readonly reordered: number;
  readonly stray: number;
}

export interface Sample {
  readonly figures: Readonly<Record<string, number>>;
  readonly faults: Faults;
  /** Doubts about this sample. */
  readonly warnings: readonly string[];
}

export const NO_FAULTS: Faults = { lost: 0, repeated: 0, reordered: 0, stray: 0 };

export interface Figure {
  readonly key: string;
  readonly label: string;
  readonly unit: string;
  readonly digits: number;
}

/** Median over rounds of the figure of `of`, divided by that of `against` in the same round where there is one. */
export interface Goal {
  readonly figure: string;
  readonly of: string;
  readonly against?: { readonly subject: string; readonly figure?: string };
  readonly atMost: number;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** One paragraph for the report, with the sizes in force. */
  method(run: Pick<Run, 'smoke' | 'acknowledge' | 'durationMs'>): string;
  readonly subjects: readonly Subject[];
  /** Names of those that a smoke run takes. */
  readonly smokeSubjects: readonly string[];
  readonly rounds: number;
  readonly replacesProcesses?: boolean;
  /** Compares CPU time or delay of servers: these and the generators get CPUs of their own. */
  readonly apart?: boolean;
  readonly figures: readonly Figure[];
  /** The figure of the plot. */
  readonly plotted: string;
  readonly goals: readonly Goal[];
  measure(subject: Subject, run: Run): Promise<Sample>;
}
