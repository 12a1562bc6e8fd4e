// Puts the results of a scenario into files.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { markdown } from './markdown.ts';
import { type Outcome, totalFaults, verdicts } from './outcome.ts';
import { plot } from './plot.ts';

/** Returns the path of the readable one. */
export function writeResults(outcome: Outcome, folder: string): string {
  mkdirSync(folder, { recursive: true });
  const base = `${outcome.date}-${outcome.scenario.name}${outcome.variant}`;
  const data = {
    scenario: outcome.scenario.name,
    date: outcome.date,
    method: outcome.method,
    machine: outcome.machine,
    verdicts: verdicts(outcome),
    faults: totalFaults(outcome),
    failures: outcome.failures,
    rounds: Object.fromEntries(outcome.samples),
  };
  writeFileSync(join(folder, `${base}.json`), `${JSON.stringify(data, null, 2)}\n`);
  writeFileSync(join(folder, `${base}.svg`), plot(outcome));
  const readable = join(folder, `${base}.md`);
  writeFileSync(readable, markdown(outcome, `${base}.svg`));
  return readable;
}
