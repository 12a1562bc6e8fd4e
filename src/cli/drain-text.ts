// How `holdfast drain` says what it does, and what it would do.
import type { DrainProgress } from '../cluster/drain/drain.ts';
import { isFields } from '../util/fields.ts';
import type { ProgressFormat } from './progress.ts';
import { ageText } from './table.ts';

const RATE_SOURCES: Readonly<Record<DrainProgress['rateFrom'], string>> = {
  'other-hosts': 'other hosts take',
  'this-host': 'a host like this one takes',
};

export const drainFormat: ProgressFormat<DrainProgress> = {
  isReport: isDrainProgress,
  text: drainText,
  // A line for every tenth.
  step: ({ state, closed, total }) => `${state} ${total === 0 ? 10 : Math.floor((closed * 10) / total)}`,
};

export function drainText(progress: DrainProgress): string {
  const { state, total, closed, remaining, perSecond, leftMs } = progress;
  const counts = `${closed} of ${total} closed, ${remaining} to go`;
  switch (state) {
    case 'serving':
      return `serving ${total} connections: a drain takes ${windowText(progress)}`;
    case 'announcing':
      return `waiting until load balancers know: ${total} connections, to be closed over ${windowText(progress)}`;
    case 'closing': {
      const rate = perSecond > 0 ? `, ${perSecond}/s` : '';
      const time = leftMs === null ? '' : `, ${ageText(Math.ceil(leftMs / 1000) * 1000)} left`;
      return `closing: ${counts}${rate}${time}; window ${windowText(progress)}`;
    }
    case 'paused':
      return `paused: ${counts}; go on with --resume, take it back with --abort`;
    case 'drained':
      return `drained: ${closed} connections closed, the gateway runs; stop it, or take it back with --abort`;
    case 'ending':
      return `ending: ${counts}`;
    case 'ended':
      return 'ended';
  }
}

/** "40s at the 10/s that other hosts take", and whether there is so much time. */
export function windowText({ state, window, acceptRate, rateFrom }: DrainProgress): string {
  const { neededMs, windowMs, limitMs, chosenMs } = window;
  const needed = `${seconds(neededMs)} at the ${Math.round(acceptRate)}/s that ${RATE_SOURCES[rateFrom]}`;
  if (limitMs !== null)
    return `${needed}, has ${seconds(limitMs)}${state === 'serving' ? ' after a signal' : ''}`;
  return chosenMs !== null ? `${seconds(windowMs)} as asked, needs ${needed}` : needed;
}

function seconds(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms / 100) / 10}s` : ageText(ms);
}

/** The gateway may be of another version than this command. */
export function isDrainProgress(value: unknown): value is DrainProgress {
  return isFields(value) && 'state' in value && 'remaining' in value && 'total' in value && 'window' in value;
}
