// The report of one scenario as people read it.
import { type Outcome, medianOf, totalFaults, valuesOf, verdicts } from './outcome.ts';

export function number(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '–';
}

function table(rows: readonly (readonly string[])[]): string {
  const [head = [], ...rest] = rows;
  const rule = head.map((_, column) => (column === 0 ? '---' : '---:'));
  return [head, rule, ...rest].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

export function markdown(outcome: Outcome, plotFile: string): string {
  const { scenario, machine } = outcome;
  const subjects = [...outcome.samples.keys()];
  const faults = totalFaults(outcome);
  const rounds = Math.max(0, ...[...outcome.samples.values()].map((samples) => samples.length));
  const warnings = [...outcome.samples].flatMap(([subject, samples]) =>
    samples.flatMap((sample, round) =>
      sample.warnings.map((text) => `- ${subject}, round ${round + 1}: ${text}`),
    ),
  );
  const plotted = scenario.figures.find((figure) => figure.key === scenario.plotted);
  return `${[
    `# ${scenario.title} (\`${scenario.name}\`), ${outcome.date}`,
    `![${plotted?.label ?? ''}](${plotFile})`,
    '## Verdict',
    table([
      ['goal', 'measured', 'limit', ''],
      ...verdicts(outcome).map((v) => [v.text, number(v.value, 2), number(v.atMost, 2), `**${v.result}**`]),
    ]),
    `Messages lost ${faults.lost}, repeated ${faults.repeated}, reordered ${faults.reordered}, astray ${faults.stray}.`,
    ...outcome.failures.map((failure) => `**Not finished:** ${failure}`),
    '## Medians',
    table([
      [
        'server',
        ...scenario.figures.map((figure) => `${figure.label}${figure.unit === '' ? '' : `, ${figure.unit}`}`),
      ],
      ...subjects.map((subject) => [
        subject,
        ...scenario.figures.map((figure) => number(medianOf(outcome, subject, figure.key), figure.digits)),
      ]),
    ]),
    `## Rounds: ${plotted?.label ?? ''}${plotted?.unit ? `, ${plotted.unit}` : ''}`,
    table([
      ['server', ...Array.from({ length: rounds }, (_, round) => String(round + 1))],
      ...subjects.map((subject) => [
        subject,
        ...valuesOf(outcome, subject, scenario.plotted).map((value) => number(value, plotted?.digits ?? 2)),
      ]),
    ]),
    ...(warnings.length === 0 ? [] : ['Doubts:', warnings.join('\n')]),
    '## Method',
    outcome.method,
    `Each server is started anew for each measurement, as processes of its own; ${rounds} round(s), in each of them all servers one after ` +
      'the other. Ratios are medians of the ratios of one round. CPU time is user and system time of all processes of a server, as the kernel accounts it.',
    '## Machine',
    `${machine.cores} × ${machine.cpu}, ${machine.memoryGb} GB, ${machine.kernel}, Node ${machine.node}, ` +
      `${machine.descriptorsPerProcess} descriptors a process, load ${machine.loadAverage.toFixed(2)} at the start; everything on loopback. ` +
      `${Object.entries(machine.versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', ')}.`,
  ].join('\n\n')}\n`;
}
