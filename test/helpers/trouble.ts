// What a test of trouble with Redis needs: the program with two workers, clients on both, publications that go on all the
// time, and the account of what everybody saw.
import type { Test } from 'tap';
import { type Gateway, startGateway } from './gateway.ts';
import { isJson, type Json } from './server-frames.ts';
import { waitFor } from './wait-for.ts';
import { Flow, type Publish, publishing, Witness } from './witness.ts';

/** Kept by the namespace of this name. */
export const HISTORY_SIZE = 500;
/** Namespaces of the configuration. */
export const KEPT = 'kept:room';
export const PASSED = 'passed:room';
/** How soon whoever publishes knows, with some for a machine that does other things. */
const REFUSAL_LIMIT_MS = 2500;
/** Between the failure and `/readyz` that says so. */
const UNREADY_LIMIT_MS = 5000;
const CLIENTS = 4;

export async function startTroubled(scope: Test, redis: Json): Promise<Gateway> {
  return startGateway(scope, {
    config: {
      engine: { type: 'redis', redis: { presence_ttl: '5s', ...redis } },
      channel: {
        namespaces: [
          {
            name: 'kept',
            history_size: HISTORY_SIZE,
            history_ttl: '300s',
            force_recovery: true,
            allow_subscribe_for_client: true,
            allow_publish_for_subscriber: true,
          },
          {
            name: 'passed',
            presence: true,
            allow_subscribe_for_client: true,
            allow_publish_for_subscriber: true,
          },
        ],
      },
    },
  });
}

/** What `/readyz` of some worker says. */
async function readiness(gateway: Gateway): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`${gateway.httpUrl}/readyz`);
  return { status: response.status, text: await response.text() };
}

/** Workers take turns to answer, more or less. */
async function isReadyAllOver(gateway: Gateway): Promise<boolean> {
  for (let asked = 0; asked < 8; asked += 1) {
    if ((await readiness(gateway)).status !== 200) return false;
  }
  return true;
}

export class Trouble {
  readonly flow: Flow;
  readonly witnesses: readonly Witness[];
  readonly #t: Test;
  readonly #gateway: Gateway;
  readonly #sinceMs = performance.now();

  private constructor(t: Test, gateway: Gateway, flow: Flow, witnesses: readonly Witness[]) {
    this.#t = t;
    this.#gateway = gateway;
    this.flow = flow;
    this.witnesses = witnesses;
  }

  /** Resolves when publications flow. */
  static async begin(t: Test, gateway: Gateway, publish?: Publish): Promise<Trouble> {
    const join = (): Promise<Witness> => Witness.join(t, gateway.wsUrl, KEPT);
    const witnesses = await Promise.all(Array.from({ length: CLIENTS }, join));
    const flow = new Flow(t, publish ?? publishing(gateway, KEPT));
    await flow.untilTaken(10);
    return new Trouble(t, gateway, flow, witnesses);
  }

  /** From now on, in time: `/readyz` says 503 and why. */
  async untilUnready(reason: RegExp): Promise<void> {
    const startMs = performance.now();
    const { text } = await waitFor(
      '/readyz to say 503',
      async () => {
        const found = await readiness(this.#gateway);
        return found.status === 503 && reason.test(found.text) && found;
      },
      UNREADY_LIMIT_MS,
    );
    const check = failedChecks(text);
    this.#t.comment(`/readyz 503 after ${(performance.now() - startMs).toFixed(0)} ms: ${check}`);
  }

  /** A client's own publish is refused as something that passes. */
  async refusesClients(): Promise<void> {
    const { client } = this.witnesses[0]?.client ?? {};
    const startMs = performance.now();
    const error: unknown = await client?.publish(KEPT, { number: 0 }).catch((reason: unknown) => reason);
    this.#t.match(error, { temporary: true }, 'a client is told that it passes');
    this.#t.comment(
      `a client's publish: ${JSON.stringify(error)} after ${(performance.now() - startMs).toFixed(0)} ms`,
    );
  }

  /** After the failure: service returns by itself, and everybody has everything, or knows. */
  async ends({ mayTell }: { readonly mayTell: boolean }): Promise<void> {
    const { flow, witnesses } = this;
    const healedMs = performance.now();
    await flow.untilTaken(10);
    await waitFor('/readyz of every worker to say 200', () => isReadyAllOver(this.#gateway));
    const backMs = performance.now() - healedMs;
    await flow.untilTaken(10);
    // Whoever has just been told that something is missing sees what comes from then on.
    const { last } = flow;
    await Promise.all(witnesses.map((witness) => witness.untilSeen(last)));
    await flow.stop();
    await Promise.all(witnesses.map((witness) => witness.untilSeen(flow.last)));
    this.#t.comment(
      `in ${((performance.now() - this.#sinceMs) / 1000).toFixed(1)} s: ${flow.taken.length} publications taken, ` +
        `${flow.refused.length} refused (slowest answer ${flow.slowestMs.toFixed(0)} ms), back after ${backMs.toFixed(0)} ms`,
    );
    const reasons = new Set(flow.refused.map(({ reason }) => reason));
    if (reasons.size > 0) this.#t.comment(`refused with ${[...reasons].join(', ')}`);
    for (const [at, witness] of witnesses.entries()) {
      const account = witness.account(flow.taken);
      this.#t.comment(`client ${at + 1}: ${JSON.stringify(account)}`);
      this.#t.same(account.silentlyLost, [], 'nothing lost in silence');
      this.#t.same(account.repeated, [], 'nothing twice');
      this.#t.equal(witness.client.count('connecting'), 1, 'the connection held');
      if (!mayTell) this.#t.equal(account.told, 0, 'nothing lost at all');
      witness.client.client.disconnect();
    }
    this.#t.ok(flow.slowestMs < REFUSAL_LIMIT_MS, 'whoever publishes is never left waiting');
    for (const { reason } of flow.refused) {
      if (!isTemporary(reason)) this.#t.fail(`refused for good: ${reason}`);
    }
  }
}

/** Those that fail, each with its reason. */
function failedChecks(text: string): string {
  return [...text.matchAll(/\{[^{}]*"ok":false[^{}]*\}/g)].join(', ');
}

/** Of the server API: error 100, to be tried again. */
function isTemporary(reason: string): boolean {
  const error: unknown = JSON.parse(reason);
  return isJson(error) && error['code'] === 100;
}
