// How much room this host has, and what is therefore said to HAProxy's agent check: pure.

export interface HostRoom {
  readonly connections: number;
  /** Undefined: no limit is known. */
  readonly connectionLimit: number | undefined;
  /** Of the slowest worker. */
  readonly loopLagMs: number;
  /** Busy share of the host's processors, 0 to 1. */
  readonly cpuShare: number;
  /** What all processes of the gateway hold, as a share of the memory there is. */
  readonly memoryShare: number;
  /** Bytes that wait for clients to read, as a share of the memory there is. */
  readonly outboxShare: number;
}

export interface AgentPolicy {
  /** After the start the agent says `ready`: only that word ends a drain that HAProxy still remembers. */
  readonly readyMs: number;
  /** From a tenth of the weight to all of it. */
  readonly rampMs: number;
}

export interface AgentFacts {
  readonly draining: boolean;
  /** Since this host began to serve. */
  readonly servingMs: number;
  readonly hasWorkers: boolean;
  readonly room: HostRoom;
}

/** Below `good` a figure costs nothing, at `bad` it leaves the least weight; between them it is linear. */
export const ROOM_LIMITS = {
  loopLagMs: { good: 25, bad: 500 },
  cpuShare: { good: 0.6, bad: 1 },
  memoryShare: { good: 0.6, bad: 0.9 },
  outboxShare: { good: 0.05, bad: 0.25 },
} as const;

/** A host under load still gets some, else equally loaded hosts would refuse everybody. */
const LEAST = 0.05;
const RAMP_START = 0.1;
/** Coarse, so that noise does not change the weight at every question. */
const STEP_PERCENT = 5;

/** Percent: 0 only when there is no place left, else the worst of all figures decides. */
export function roomScore(room: HostRoom): number {
  const free = freePlaces(room);
  if (free <= 0) return 0;
  const figures = (['loopLagMs', 'cpuShare', 'memoryShare', 'outboxShare'] as const).map((name) => {
    const { good, bad } = ROOM_LIMITS[name];
    return 1 - clamp((room[name] - good) / (bad - good));
  });
  return toPercent(Math.min(free, ...figures));
}

/** The line that answers one question. */
export function agentAnswer(facts: AgentFacts, policy: AgentPolicy): string {
  // Until the process ends: HAProxy sends nobody, and what is here stays.
  if (facts.draining) return 'drain\n';
  const score = facts.hasWorkers ? roomScore(facts.room) : 0;
  const ramp = policy.rampMs === 0 ? 1 : clamp(facts.servingMs / policy.rampMs);
  const percent = score === 0 ? 0 : toPercent((score / 100) * (RAMP_START + (1 - RAMP_START) * ramp));
  // Said for ever, it would undo the drain of an operator within a second.
  const word = facts.servingMs < policy.readyMs ? 'ready up' : 'up';
  return `${word} ${percent}%\n`;
}

function freePlaces({ connections, connectionLimit }: HostRoom): number {
  return connectionLimit === undefined || connectionLimit === 0 ? 1 : 1 - connections / connectionLimit;
}

function toPercent(share: number): number {
  const percent = Math.round((Math.max(LEAST, share) * 100) / STEP_PERCENT) * STEP_PERCENT;
  return Math.min(100, percent);
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}
