// How `holdfast status` lays a host out for people.
import type { DrainProgress } from '../cluster/drain/drain.ts';
import type { HostCapacity, HostReport } from '../cluster/load/host-capacity.ts';
import type { WorkerStatus } from '../cluster/load/host-status.ts';
import { type CliDeps, paint } from './cli-deps.ts';
import { drainText, isDrainProgress, windowText } from './drain-text.ts';
import { ageText, bytesText, type Column, tableLines } from './table.ts';

const STATE_STYLES = { serving: 'green', starting: 'yellow', draining: 'yellow', degraded: 'red' } as const;

const COLUMNS: readonly Column[] = [
  { title: 'worker', align: 'right' },
  { title: 'pid', align: 'right' },
  { title: 'state', align: 'left' },
  { title: 'for', align: 'right' },
  { title: 'connections', align: 'right' },
  { title: 'memory', align: 'right' },
  { title: 'heap', align: 'right' },
  { title: 'loop lag', align: 'right' },
  { title: 'restarts', align: 'right' },
  { title: '', align: 'left' },
];

export function statusText(status: HostReport, deps: CliDeps): string {
  const style = STATE_STYLES[status.state];
  const { connectionLimit: allowed } = status.capacity;
  const limit = allowed === null ? '' : ` of ${allowed} allowed`;
  const refused = Object.entries(status.refused).filter(([, count]) => count > 0);
  const { internal } = status;
  const lines = [
    `holdfast ${status.version}  ${paint(deps.stdout, deps.environment, style, status.state)}  ` +
      `up ${ageText(status.uptimeMs)}  pid ${status.pid}  node ${status.node}`,
    '',
    `listening    ${status.listening.join(', ') || 'not yet'}`,
    ...(internal.length > 0 ? [`internal     ${internal.join(', ')}`] : []),
    `connections  ${status.connections}${limit}`,
    `capacity     ${capacityText(status.capacity)}`,
    ...(isDrainProgress(status.drain) ? [`drain        ${drainLine(status.drain)}`] : []),
    ...(status.held > 0 ? [`waiting      ${status.held} for a worker`] : []),
    ...(status.queued > 0 ? [`queued       ${status.queued} for their turn`] : []),
    ...(refused.length > 0
      ? [`refused      ${refused.map(([reason, count]) => `${count} ${reason}`).join(', ')}`]
      : []),
    '',
    ...tableLines(COLUMNS, status.workers.map(workerRow)),
  ];
  return `${lines.join('\n')}\n`;
}

function drainLine(drain: DrainProgress): string {
  return drain.state === 'serving' ? `takes ${windowText(drain)}` : drainText(drain);
}

function capacityText({ utilisation, acceptHeadroom, acceptRate }: HostCapacity): string {
  const { host, ...parts } = utilisation;
  const [worst = ''] = Object.entries(parts).toSorted(([, one], [, other]) => other - one)[0] ?? [];
  const room = acceptHeadroom === null ? '' : `, room for ${acceptHeadroom} more`;
  // A gateway of an older version does not say.
  const rate = typeof acceptRate === 'number' ? `, takes ${acceptRate} a second` : '';
  return `${Math.round(host * 100)} % used${host > 0 ? ` (${worst})` : ''}${room}${rate}`;
}

function orDash(value: number | null, text: (value: number) => string): string {
  return value === null ? '-' : text(value);
}

function workerRow(worker: WorkerStatus): string[] {
  return [
    String(worker.slot),
    orDash(worker.pid, String),
    worker.state,
    orDash(worker.sinceMs, ageText),
    String(worker.connections),
    orDash(worker.rssBytes, bytesText),
    orDash(worker.heapUsedBytes, bytesText),
    orDash(worker.loopLagMs, (lagMs) => `${lagMs} ms`),
    String(worker.restarts),
    remarks(worker).join('; '),
  ];
}

function remarks(worker: WorkerStatus): string[] {
  return [
    ...(worker.role === 'successor' ? ['takes over next'] : []),
    ...(worker.role === 'retired' ? ['gives its connections away'] : []),
    ...(worker.crashLooping ? ['crash loop'] : []),
    ...(worker.retryInMs === null ? [] : [`next attempt in ${ageText(worker.retryInMs)}`]),
    ...(worker.overloaded ? ['overloaded: takes nobody new'] : []),
    ...(worker.answering === 'hung' ? ['does not answer'] : []),
    ...(worker.lastFailure === null ? [] : [`last failure: ${worker.lastFailure}`]),
  ];
}

/** The gateway may be of another version than this command. */
export function isHostStatus(value: unknown): value is HostReport {
  return (
    typeof value === 'object' &&
    value !== null &&
    'state' in value &&
    typeof value.state === 'string' &&
    'listening' in value &&
    Array.isArray(value.listening) &&
    'refused' in value &&
    typeof value.refused === 'object' &&
    value.refused !== null &&
    'workers' in value &&
    Array.isArray(value.workers) &&
    'capacity' in value &&
    typeof value.capacity === 'object' &&
    value.capacity !== null
  );
}
