// How long it takes until all clients of a host are back at the others, and so how fast they may be sent there: pure.

export interface WindowFacts {
  readonly clients: number;
  /** Connections a second that the rest lets in. */
  readonly acceptRate: number;
  /** Time there is at most; null when nothing ends it. */
  readonly limitMs: number | null;
  /** Somebody knows better: this instead of what the rate says; null when not. */
  readonly chosenMs: number | null;
}

export interface ReconnectWindow {
  /** By clients and rate alone. */
  readonly neededMs: number;
  /** Over which they are closed. */
  readonly windowMs: number;
  /** What cut it short; null when nothing did. */
  readonly limitMs: number | null;
  /** What was asked for instead; null when nothing was. */
  readonly chosenMs: number | null;
}

export function reconnectWindow({ clients, acceptRate, limitMs, chosenMs }: WindowFacts): ReconnectWindow {
  const neededMs = Math.ceil((clients / acceptRate) * 1000);
  const wantedMs = chosenMs ?? neededMs;
  const isCut = limitMs !== null && wantedMs > limitMs;
  return { neededMs, windowMs: isCut ? limitMs : wantedMs, limitMs: isCut ? limitMs : null, chosenMs };
}

/** What the workers of a host say of it. */
export interface HostRate {
  /** Of one primary: the same from all its workers. */
  readonly host: string;
  /** Connections a second that it lets in; 0 while it takes none. */
  readonly acceptRate: number;
}

/** Of all hosts but our own. */
export function rateOfOthers(rates: readonly HostRate[], ownHost: string): number {
  const byHost = new Map(rates.map(({ host, acceptRate }) => [host, acceptRate]));
  byHost.delete(ownHost);
  return [...byHost.values()].reduce((sum, rate) => sum + rate, 0);
}
