// The course of a blue/green deployment as pure functions: what follows what, when it turns back, and where it begins.

export const COLOURS = ['blue', 'green'] as const;
export type Colour = (typeof COLOURS)[number];

/** Forward: from the first change to the end of the old colour. */
export const FORWARD_STEPS = ['hold', 'start', 'canary', 'shift', 'settle', 'drain', 'stop'] as const;
/** Back: clients stay with the old colour, those of the new one return, the new one ends. */
export const BACK_STEPS = ['restore', 'empty', 'remove'] as const;

export type ForwardStep = (typeof FORWARD_STEPS)[number];
export type BackStep = (typeof BACK_STEPS)[number];
export type WorkStep = ForwardStep | BackStep;
export type Step = WorkStep | 'deployed' | 'undone';

/** What a deployment remembers over an interruption. Every step may be done twice, so the one it stands at is enough. */
export interface DeployRecord {
  readonly version: 1;
  /** Null when no colour served before. */
  readonly from: Colour | null;
  readonly to: Colour;
  readonly step: Step;
  /** Why it turned back. */
  readonly failure: string | null;
  /** Unix milliseconds. */
  readonly startedAtMs: number;
}

export type DeployEvent =
  | { readonly type: 'done' }
  /** A check did not pass, a command failed, or somebody wants it undone. */
  | { readonly type: 'failed'; readonly reason: string };

const NEXT: Readonly<Record<WorkStep, Step>> = {
  hold: 'start',
  start: 'canary',
  canary: 'shift',
  shift: 'settle',
  settle: 'drain',
  drain: 'stop',
  stop: 'deployed',
  restore: 'empty',
  empty: 'remove',
  remove: 'undone',
};

/** Why somebody's `--rollback` turned it back. */
export const BY_COMMAND = 'rolled back by command';

export function isOver(step: Step): step is 'deployed' | 'undone' {
  return step === 'deployed' || step === 'undone';
}

function isBack(step: Step): step is BackStep {
  return BACK_STEPS.some((each) => each === step);
}

function otherColour(colour: Colour): Colour {
  return colour === 'blue' ? 'green' : 'blue';
}

/**
 * A failure on the way forward turns it back. When only the end of the old colour is left there is nothing to save by that,
 * and on the way back there is nowhere else to go: both stay where they are, to be tried again.
 */
export function advance(record: DeployRecord, event: DeployEvent): DeployRecord {
  const { step } = record;
  if (isOver(step)) return record;
  if (event.type === 'done') return { ...record, step: NEXT[step] };
  if (isBack(step) || step === 'stop') return record;
  return { ...record, step: 'restore', failure: event.reason };
}

/** What somebody who says `--rollback` wants of it: back from the middle, or the other way round after the end. */
export function undo(record: DeployRecord, nowMs: number): DeployRecord | string {
  const { from, to, step } = record;
  if (step === 'undone') return `the deployment to ${to} has been undone already`;
  if (isBack(step)) return record;
  if (step !== 'deployed') return { ...record, step: 'restore', failure: BY_COMMAND };
  if (from === null) return `there was nothing before ${to}`;
  return begin(to, from, nowMs);
}

export function begin(from: Colour | null, to: Colour, nowMs: number): DeployRecord {
  return { version: 1, from, to, step: 'hold', failure: null, startedAtMs: nowMs };
}

export interface Situation {
  /** Of the last deployment. */
  readonly record: DeployRecord | undefined;
  /** Colours whose gateway answers. */
  readonly serving: readonly Colour[];
  /** Colours that some HAProxy finds up, or that have clients there. */
  readonly inFront: readonly { readonly colour: Colour; readonly isUp: boolean; readonly sessions: number }[];
  /** As asked for; undefined is the one that does not serve. */
  readonly to: Colour | undefined;
  readonly nowMs: number;
}

/** Who served when the deployment was over. */
function lastServing({ step, from, to }: DeployRecord): Colour | undefined {
  return step === 'deployed' ? to : (from ?? undefined);
}

/** Where to begin or to go on; a text says why not: a colour that cannot be asked must not be taken for one that is not there. */
export function planDeploy({ record, serving, inFront, to, nowMs }: Situation): DeployRecord | string {
  if (record !== undefined && !isOver(record.step)) {
    if (to === undefined || to === record.to) return record;
    return `a deployment to ${record.to} is under way (${record.step}): go on with it, or undo it with --rollback`;
  }
  const [first, second] = serving;
  const hidden = inFront.find(
    ({ colour, isUp, sessions }) =>
      !serving.includes(colour) && (isUp || (first === undefined && sessions > 0)),
  );
  if (hidden !== undefined) {
    return `HAProxy ${hidden.isUp ? 'finds' : 'has clients on'} ${hidden.colour}${hidden.isUp ? ' up' : ''}, and no gateway answers at its control socket: say with --control where that is`;
  }
  const last = record && lastServing(record);
  if (first === undefined && last !== undefined) {
    return `the last deployment left ${last} serving, and no gateway answers at its control socket: say with --control where that is, or start ${last} first`;
  }
  if (first === undefined) return begin(null, to ?? 'blue', nowMs);
  if (second !== undefined) {
    if (to === undefined) return 'both colours serve: say which one shall remain with --to';
    return begin(otherColour(to), to, nowMs);
  }
  if (first === to)
    return `${to} serves already; a new configuration or application needs only \`holdfast reload\``;
  return begin(first, otherColour(first), nowMs);
}

const TEXTS: Readonly<Record<Step, (from: string, to: string) => string>> = {
  hold: (_from, to) => `keep clients away from ${to}`,
  start: (_from, to) => `start ${to}`,
  canary: (_from, to) => `prove ${to} through the front`,
  shift: (from, to) => `send new clients to ${to}, none to ${from}`,
  settle: (_from, to) => `watch ${to}`,
  drain: (from) => `drain ${from}`,
  stop: (from) => `stop ${from}`,
  restore: (from, to) => `send new clients to ${from} again, none to ${to}`,
  empty: (_from, to) => `drain ${to}`,
  remove: (_from, to) => `stop ${to}`,
  deployed: (_from, to) => `${to} serves`,
  undone: (from, to) => `undone: ${from} serves, ${to} does not`,
};

export function stepText({ from, to }: Pick<DeployRecord, 'from' | 'to'>, step: Step): string {
  return TEXTS[step](from ?? 'nobody', to);
}
