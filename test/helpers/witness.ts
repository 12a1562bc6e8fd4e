// Numbered publications through a time of trouble, and clients that witness them: who misses one must have been told.
import { setTimeout as delay } from 'node:timers/promises';
import { OfficialClient, type OfficialSubscription } from './centrifuge.ts';
import type { Gateway } from './gateway.ts';
import type { Scope } from './scope.ts';
import { isJson } from './server-frames.ts';
import { waitFor } from './wait-for.ts';

const PACE_MS = 5;
const SEEN_LIMIT_MS = 10_000;
const FAST = { minResubscribeDelay: 50, maxResubscribeDelay: 500 };

interface Refusal {
  readonly number: number;
  readonly tookMs: number;
  readonly reason: string;
}

/** Publishes one; resolves to the reason when it was refused. */
export type Publish = (number: number) => Promise<string | undefined>;

/** Publishes 1, 2, 3, ... until it is told to stop. */
export class Flow {
  readonly taken: number[] = [];
  readonly refused: Refusal[] = [];
  slowestMs = 0;
  readonly #publish: Publish;
  readonly #running: Promise<void>;
  #stopped = false;

  constructor(scope: Scope, publish: Publish) {
    this.#publish = publish;
    this.#running = this.#run();
    scope.teardown(() => this.stop());
  }

  get last(): number {
    return this.taken.at(-1) ?? 0;
  }

  /** Waits until so many more were taken. */
  async untilTaken(count: number): Promise<void> {
    const before = this.taken.length;
    await waitFor(`${count} more publications to be taken`, () => this.taken.length >= before + count);
  }

  async untilRefused(count: number): Promise<void> {
    const before = this.refused.length;
    await waitFor(`${count} publications to be refused`, () => this.refused.length >= before + count);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let number = 1; !this.#stopped; number += 1) {
      const startMs = performance.now();
      const reason = await this.#publish(number);
      const tookMs = performance.now() - startMs;
      this.slowestMs = Math.max(this.slowestMs, tookMs);
      if (reason === undefined) this.taken.push(number);
      else this.refused.push({ number, tookMs, reason });
      await delay(PACE_MS);
    }
  }
}

/** Through the server API. */
export function publishing(gateway: Gateway, channel: string): Publish {
  return async (number) => {
    const answer = await gateway.api('publish', { channel, data: { number } });
    const error = isJson(answer) ? answer['error'] : undefined;
    return error === undefined ? undefined : JSON.stringify(error);
  };
}

export interface Account {
  readonly seen: number;
  /** Publications that were taken, and that it neither got nor was told of. */
  readonly silentlyLost: readonly number[];
  /** Got twice, or after a later one. */
  readonly repeated: readonly number[];
  /** Told that it missed something: `recovered: false`. */
  readonly told: number;
  /** Came back, with everything that it had missed. */
  readonly recovered: number;
}

export class Witness {
  readonly client: OfficialClient;
  readonly subscription: OfficialSubscription;

  private constructor(client: OfficialClient, subscription: OfficialSubscription) {
    this.client = client;
    this.subscription = subscription;
  }

  static async join(scope: Scope, url: string, channel: string): Promise<Witness> {
    const client = await new OfficialClient(scope, url, {
      options: { minReconnectDelay: 50, maxReconnectDelay: 500 },
    }).connect();
    return Witness.of(client, channel);
  }

  /** A client that is connected already, in whichever way; its publications are JSON. */
  static async of(client: OfficialClient, channel: string): Promise<Witness> {
    return new Witness(client, await client.subscribe(channel, FAST));
  }

  async untilSeen(number: number): Promise<void> {
    try {
      await waitFor(
        `publication ${number}`,
        () => this.subscription.publications.some((data) => numberOf(data) >= number),
        SEEN_LIMIT_MS,
      );
    } catch (error) {
      const last = this.subscription.history.slice(-5);
      throw new Error(`the last that a client saw: ${JSON.stringify(last)}`, { cause: error });
    }
  }

  account(taken: readonly number[]): Account {
    const silentlyLost: number[] = [];
    const repeated: number[] = [];
    let [last, seen, told, recovered] = [0, 0, 0, 0];
    let isTold = false;
    for (const { kind, context } of this.subscription.history) {
      if (!isJson(context)) continue;
      if (kind === 'subscribed' && context['wasRecovering'] === true) {
        if (context['recovered'] === true) recovered += 1;
        else {
          told += 1;
          isTold = true;
        }
      }
      if (kind !== 'publication') continue;
      const number = numberOf(context['data']);
      // What was refused may have been on its way nevertheless; it has no order.
      if (!taken.includes(number)) continue;
      seen += 1;
      if (number <= last) repeated.push(number);
      else if (!isTold) silentlyLost.push(...taken.filter((each) => each > last && each < number));
      last = number;
      isTold = false;
    }
    return { seen, silentlyLost, repeated, told, recovered };
  }
}

function numberOf(data: unknown): number {
  return isJson(data) ? Number(data['number']) : 0;
}
