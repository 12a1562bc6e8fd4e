// How `holdfast doctor` lays its findings out for people.
import type { Capacity } from '../doctor/capacity.ts';
import { type Finding, SEVERITIES, type Severity } from '../doctor/finding.ts';
import { type CliDeps, paint } from './cli-deps.ts';
import { ageText, bytesText, tableLines } from './table.ts';

const LABELS: Readonly<Record<Severity, readonly [label: string, style: Parameters<typeof paint>[2]]>> = {
  critical: ['CRITICAL', 'red'],
  warning: ['warning', 'yellow'],
  unknown: ['not known', 'dim'],
  ok: ['in order', 'green'],
};

export function findingsText(
  findings: readonly Finding[],
  { all }: { readonly all: boolean },
  deps: CliDeps,
): string {
  const lines: string[] = [];
  const shown = SEVERITIES.toReversed().filter(
    (severity) => severity === 'warning' || severity === 'critical' || all,
  );
  for (const severity of shown) {
    for (const finding of findings.filter((each) => each.severity === severity)) {
      const [label, style] = LABELS[severity];
      lines.push(`${paint(deps.stdout, deps.environment, style, label)}  ${finding.rule}: ${finding.what}`);
      if (finding.why !== '') lines.push(`    why     ${finding.why}`);
      if (finding.change !== '') lines.push(`    change  ${finding.change}`);
    }
  }
  if (lines.length > 0) lines.push('');
  if (!all) lines.push(...unknownLines(findings));
  const counts = SEVERITIES.toReversed().map((severity) => {
    return `${findings.filter((each) => each.severity === severity).length} ${LABELS[severity][0].toLowerCase()}`;
  });
  lines.push(counts.join(', '));
  return `${lines.join('\n')}\n`;
}

/** Rules that lack the same fact share a line. */
function unknownLines(findings: readonly Finding[]): string[] {
  const byReason = new Map<string, string[]>();
  for (const { severity, what, rule } of findings) {
    if (severity === 'unknown') byReason.set(what, [...(byReason.get(what) ?? []), rule]);
  }
  if (byReason.size === 0) return [];
  const lines = Array.from(
    byReason,
    ([what, rules]) => `not known: ${what}\n    leaves  ${rules.join(', ')}`,
  );
  return [...lines, ''];
}

export function capacityText(capacity: Capacity): string {
  const { connections, workers, figures, lines, totalBytes, heapBytesPerWorker, reconnectSeconds } = capacity;
  const rows = [
    ...lines.map(({ what, sum, bytes }) => [what, sum, bytesText(bytes)]),
    ['together', '', bytesText(totalBytes)],
  ];
  const table = tableLines(
    [
      { title: `memory for ${connections} connections`, align: 'left' },
      { title: '', align: 'left' },
      { title: '', align: 'right' },
    ],
    rows,
  );
  const rest = [
    `Measured with ${figures.sample} connections to one worker, each subscribed to a channel of its own.`,
    `JavaScript heap that connections take in each of ${workers} workers: at most ${bytesText(heapBytesPerWorker)}.`,
    reconnectSeconds === undefined
      ? 'After a storm all come back as fast as the workers are measured to take them (admission.accept_rate: 0).'
      : `At the rate that the configuration allows all are back within ${ageText(reconnectSeconds * 1_000)}.`,
  ];
  return `\n${[...table, '', ...rest].join('\n')}\n`;
}
