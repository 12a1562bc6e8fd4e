// One figure of all servers as horizontal bars (medians) with a dot per round and a line where a goal's limit lies.
import { number } from './markdown.ts';
import { type Outcome, medianOf, valuesOf } from './outcome.ts';

const WIDTH = 760;
const LEFT = 130;
const RIGHT = 90;
const TOP = 64;
const ROW = 44;
const BAR = 22;
const COLOURS: readonly [prefix: string, colour: string][] = [
  ['holdfast', '#0b7285'],
  ['socket.io', '#adb5bd'],
  ['bare', '#868e96'],
];

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

export function plot(outcome: Outcome): string {
  const { scenario } = outcome;
  const figure = scenario.figures.find((known) => known.key === scenario.plotted);
  const subjects = [...outcome.samples.keys()];
  const limits = new Map<string, number>();
  for (const goal of scenario.goals) {
    if (goal.figure !== scenario.plotted) continue;
    const { against } = goal;
    const base =
      against === undefined ? 1 : medianOf(outcome, against.subject, against.figure ?? goal.figure);
    const limit = goal.atMost * base;
    if (Number.isFinite(limit)) limits.set(goal.of, Math.min(limit, limits.get(goal.of) ?? limit));
  }
  const values = subjects.flatMap((subject) => valuesOf(outcome, subject, scenario.plotted));
  const top = Math.max(...values.filter(Number.isFinite), ...limits.values(), Number.MIN_VALUE) * 1.05;
  const x = (value: number): number => LEFT + (value / top) * (WIDTH - LEFT - RIGHT);
  const height = TOP + subjects.length * ROW + 30;
  const rows = subjects.map((subject, row) => {
    const y = TOP + row * ROW;
    const middle = medianOf(outcome, subject, scenario.plotted);
    const colour = COLOURS.find(([prefix]) => subject.startsWith(prefix))?.[1] ?? '#495057';
    const dots = valuesOf(outcome, subject, scenario.plotted)
      .filter(Number.isFinite)
      .map(
        (value) =>
          `<circle cx="${x(value).toFixed(1)}" cy="${y + BAR / 2}" r="2.5" fill="#212529" fill-opacity="0.55"/>`,
      );
    const limit = limits.get(subject);
    const mark =
      limit === undefined
        ? ''
        : `<line x1="${x(limit).toFixed(1)}" x2="${x(limit).toFixed(1)}" y1="${y - 7}" y2="${y + BAR + 7}" stroke="#e03131" stroke-width="2"/>`;
    const width = Number.isFinite(middle) ? x(middle) - LEFT : 0;
    return (
      `<text x="${LEFT - 10}" y="${y + BAR / 2 + 5}" text-anchor="end">${escaped(subject)}</text>` +
      `<rect x="${LEFT}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2" fill="${colour}"/>${dots.join('')}${mark}` +
      `<text x="${WIDTH - 8}" y="${y + BAR / 2 + 5}" text-anchor="end" font-weight="600">${number(middle, figure?.digits ?? 2)} ${figure?.unit ?? ''}</text>`
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, sans-serif" font-size="14" fill="#212529">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    `<text x="16" y="26" font-size="17" font-weight="600">${escaped(scenario.title)}</text>`,
    `<text x="16" y="46" fill="#495057">${escaped(figure?.label ?? '')}${figure?.unit ? `, ${figure.unit}` : ''} (lower is better): bar = median, dots = rounds, red = limit</text>`,
    ...rows,
    `<text x="16" y="${height - 10}" font-size="12" fill="#868e96">${escaped(outcome.date)}, ${outcome.machine.cores} cores, Node ${escaped(outcome.machine.node)}, same run, loopback</text>`,
    '</svg>',
    '',
  ].join('\n');
}
