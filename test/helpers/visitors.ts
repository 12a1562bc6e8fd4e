// Requests at a door one after the other, each over a connection of its own, until they are told to stop: whoever is not
// served is kept account of.
import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { OfficialClient } from './centrifuge.ts';
import type { Gateway } from './gateway.ts';
import type { Scope } from './scope.ts';
import { waitFor, within } from './wait-for.ts';

const ARRIVAL_PAUSE_MS = 5;
const ANSWER_LIMIT_MS = 20_000;
const SERVED_LIMIT_MS = 60_000;
/** Of each operation of a passer-by, on a machine that does much else. */
const PASSING_LIMIT_MS = 20_000;

export type Door = { readonly port: number } | { readonly socketPath: string };

export class Visitors {
  served = 0;
  /** What happened to those who were not served. */
  readonly refused: string[] = [];
  readonly #running: Promise<void>;
  #isOver = false;

  /** `visit` rejects when it was not served. */
  constructor(scope: Scope, visit: () => Promise<void>) {
    this.#running = this.#come(visit);
    scope.teardown(() => this.stop());
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  /** Waits for some who come from now on. */
  async untilServed(count: number): Promise<void> {
    const before = this.served;
    await waitFor(
      `${count} more visitors to be served`,
      () => this.served >= before + count,
      SERVED_LIMIT_MS,
    );
  }

  async #come(visit: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      try {
        await within('an answer', visit(), ANSWER_LIMIT_MS);
        this.served += 1;
      } catch (error) {
        this.refused.push(String(error));
      }
      await delay(ARRIVAL_PAUSE_MS);
    }
  }
}

/** Of a path that answers 200. */
export function pageOf(door: Door, path: string): () => Promise<void> {
  return async () => {
    const { status, body } = await get(door, path);
    if (status !== 200) throw new Error(`${path}: ${status} ${body}`);
  };
}

/** What HAProxy's agent check is told by a host that serves, and has done so for some time. */
export function agentOf(port: number): () => Promise<void> {
  return async () => {
    const answer = await text(connect(port, '127.0.0.1'));
    if (!/^up [1-9]\d*%\n$/.test(answer)) throw new Error(`the agent says ${JSON.stringify(answer)}`);
  };
}

/** Where the agent check of a gateway listens. */
export function agentPort(gateway: Gateway): number {
  return Number(String(gateway.logged('listening')[0]?.['agent']).split(':').at(-1));
}

/** Where its internal port is. */
export function internalPort(gateway: Gateway): number {
  const internal = gateway.logged('listening')[0]?.['internal'];
  return Number(
    String(Array.isArray(internal) ? internal[0] : '')
      .split(':')
      .at(-1),
  );
}

function get(door: Door, path: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', ...door, path, agent: false }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** Official clients that come, stay for a moment and leave, so many a second. */
export class PassersBy {
  connected = 0;
  readonly failed: string[] = [];
  readonly #url: string;
  readonly #pauseMs: number;
  readonly #stays = new Set<Promise<void>>();
  readonly #running: Promise<void>;
  #isOver = false;

  constructor(scope: Scope, url: string, perSecond: number) {
    this.#url = url;
    this.#pauseMs = 1000 / perSecond;
    this.#running = this.#come();
    scope.teardown(() => this.stop());
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
    await Promise.all(this.#stays);
  }

  async #come(): Promise<void> {
    const startMs = performance.now();
    for (let count = 1; !this.#isOver; count += 1) {
      const stay = this.#stay(count).finally(() => this.#stays.delete(stay));
      this.#stays.add(stay);
      await delay(Math.max(1, startMs + count * this.#pauseMs - performance.now()));
    }
  }

  async #stay(number: number): Promise<void> {
    // It leaves by itself: nothing is left to be undone after the test.
    const official = new OfficialClient({ teardown: () => undefined }, this.#url, {
      protobuf: number % 2 === 1,
      options: { timeout: PASSING_LIMIT_MS },
    });
    try {
      await official.connect();
      await official.subscribe('passing');
      this.connected += 1;
    } catch (error) {
      this.failed.push(`${number}: ${String(error)}`);
    }
    const [errors, losses] = [official.count('error'), official.count('disconnected')];
    const tries = official.count('connecting');
    official.client.disconnect();
    if (errors + losses > 0 || tries !== 1) {
      this.failed.push(`${number}: ${errors} errors, ${tries} attempts: ${JSON.stringify(official.history)}`);
    }
  }
}
