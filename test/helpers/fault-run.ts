// Chance at work on a gateway that is in use: deploys of all kinds, and faults in the middle of them. Clients keep account of
// what they hear; whoever publishes repeats what was not answered.
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { State } from 'centrifuge';
import { connectControl } from '../../src/cluster/control/control-client.ts';
import { messageOf } from '../../src/util/errors.ts';
import { OfficialClient, type OfficialSubscription } from './centrifuge.ts';
import { API_KEY, type Gateway } from './gateway.ts';
import { childPids, killIfAlive } from './processes.ts';
import { below, pick, type Roll, seeded } from './random.ts';
import type { RedisServer } from './redis.ts';
import type { Scope } from './scope.ts';
import { isJson } from './server-frames.ts';
import { currentPrimary, currentWorkers } from './upgrading.ts';
import { waitFor, within } from './wait-for.ts';

/** With history: everybody hears everything, whatever happens. */
const KEPT = 'kept:all';
/** Without: whoever stays connected hears everything that was published by those who do. */
const PASSED = 'passed:all';

export const FAULT_RUN_CHANNELS = {
  namespaces: [
    { name: 'kept', history_size: 100_000, history_ttl: '3000s', force_recovery: true, presence: true },
    { name: 'passed', allow_publish_for_subscriber: true },
  ],
};

const DEPLOY_PAUSE_MS = 1500;
const FAULT_PAUSE_MS = 2500;
const API_PAUSE_MS = 10;
const TALK_PAUSE_MS = 100;
const API_LIMIT_MS = 8000;
/** For a deploy: it may have to wait for a worker that is started again with back-off. */
const DEPLOY_LIMIT_MS = 120_000;
const END_LIMIT_MS = 60_000;

export type Deploy = 'reload' | 'upgrade' | 'rebalance';

/** Something happens to the gateway; resolves when it is over. Who loses connections by it says so. */
export interface Fault {
  readonly name: string;
  run(run: FaultRun, roll: Roll): Promise<void>;
}

export interface FaultRunOptions {
  readonly gateway: Gateway;
  readonly seed: number;
  readonly clients: number;
  readonly deploys: readonly Deploy[];
  readonly faults: readonly Fault[];
  /** What is published without history may get lost: the way to Redis breaks. */
  readonly losesPassed: boolean;
}

class Listener {
  readonly name: string;
  readonly official: OfficialClient;
  readonly kept: OfficialSubscription;
  readonly passed: OfficialSubscription;
  readonly isProtobuf: boolean;
  sent = 0;
  failed = 0;

  private constructor(
    name: string,
    official: OfficialClient,
    kept: OfficialSubscription,
    passed: OfficialSubscription,
    isProtobuf: boolean,
  ) {
    this.name = name;
    this.official = official;
    this.kept = kept;
    this.passed = passed;
    this.isProtobuf = isProtobuf;
  }

  static async join(scope: Scope, url: string, number: number): Promise<Listener> {
    const isProtobuf = number % 2 === 1;
    const official = await new OfficialClient(scope, url, {
      protobuf: isProtobuf,
      options: { minReconnectDelay: 50, maxReconnectDelay: 1000, timeout: 10_000 },
    }).connect();
    const kept = await official.subscribe(KEPT);
    const passed = await official.subscribe(PASSED);
    return new Listener(`client-${number}`, official, kept, passed, isProtobuf);
  }

  get isConnected(): boolean {
    return this.official.client.state === State.Connected;
  }

  /** Nothing has been noticed of its connection. */
  get isUndisturbed(): boolean {
    return this.official.count('connecting') === 1;
  }

  say(): void {
    this.sent += 1;
    const words = { from: this.name, n: this.sent };
    const data = this.isProtobuf ? Buffer.from(JSON.stringify(words)) : words;
    this.official.client.publish(PASSED, data).catch(() => {
      this.failed += 1;
    });
  }

  faults(all: readonly Listener[], published: number, losesPassed: boolean): readonly string[] {
    const faults: string[] = [];
    let last = 0;
    for (const { n } of this.kept.publications.map(read)) {
      if (n !== last + 1) faults.push(`${this.name} in ${KEPT}: ${n} after ${last}`);
      last = n;
    }
    if (last !== published) faults.push(`${this.name} in ${KEPT}: ended with ${last} of ${published}`);
    for (const { kind, context } of this.kept.history) {
      if (
        kind === 'subscribed' &&
        isJson(context) &&
        context['wasRecovering'] === true &&
        context['recovered'] !== true
      )
        faults.push(`${this.name} in ${KEPT}: not recovered`);
    }
    for (const each of [this.kept, this.passed]) {
      if (each.history.some(({ kind }) => kind === 'unsubscribed'))
        faults.push(`${this.name} was unsubscribed`);
    }
    if (this.official.count('disconnected') > 0) faults.push(`${this.name} was disconnected for good`);
    if (this.isUndisturbed && !losesPassed) faults.push(...this.#faultsWithoutExcuse(all));
    return faults;
  }

  #faultsWithoutExcuse(all: readonly Listener[]): readonly string[] {
    const faults: string[] = [];
    if (this.failed > 0) faults.push(`${this.name}: ${this.failed} publications failed`);
    const latest = new Map<string, number>();
    const undisturbed = new Set(all.filter((each) => each.isUndisturbed).map(({ name }) => name));
    for (const { from, n } of this.passed.publications.map(read)) {
      if (!undisturbed.has(from)) continue;
      const before = latest.get(from) ?? 0;
      if (n !== before + 1) faults.push(`${this.name}: ${from} ${n} after ${before}`);
      latest.set(from, n);
    }
    for (const { name, sent } of all) {
      if (undisturbed.has(name) && sent > 0 && latest.get(name) !== sent)
        faults.push(`${this.name}: ${name} ended with ${latest.get(name)} of ${sent}`);
    }
    return faults;
  }
}

export class FaultRun {
  readonly gateway: Gateway;
  /** What happened, in order. */
  readonly diary: string[] = [];
  /** Something broke connections. */
  breaks = 0;
  deployed = 0;
  /** Deploys that did not go through, and why. */
  readonly failures: string[] = [];
  readonly #options: FaultRunOptions;
  readonly #scope: Scope;
  readonly #listeners: Listener[] = [];
  readonly #startMs = performance.now();
  #published = 0;
  #isOver = false;

  constructor(scope: Scope, options: FaultRunOptions) {
    this.#scope = scope;
    this.#options = options;
    this.gateway = options.gateway;
  }

  note(text: string): void {
    this.diary.push(`${((performance.now() - this.#startMs) / 1000).toFixed(2)} ${text}`);
  }

  /** Resolves to everything that is wrong in the end. */
  async last(seconds: number, onSecond: (line: string) => void): Promise<readonly string[]> {
    const { gateway, clients } = this.#options;
    for (let number = 0; number < clients; number += 1) {
      this.#listeners.push(await Listener.join(this.#scope, gateway.wsUrl, number));
    }
    const failed = new AbortController();
    const ongoing = [this.#publish(), this.#talk(), this.#deploy(), this.#trouble()].map((each) =>
      each.catch((error: unknown) => failed.abort(error)),
    );
    for (let second = 0; second < seconds && !failed.signal.aborted; second += 1) {
      await delay(1000);
      onSecond(`${second + 1} of ${seconds} s: ${this.#published} publications, ${this.diary.length} events`);
    }
    this.#isOver = true;
    await Promise.all(ongoing);
    failed.signal.throwIfAborted();
    return this.#judge();
  }

  /** A worker by chance; in the middle of an upgrade it may be one of the primary to come. */
  async someWorker(roll: Roll): Promise<number | undefined> {
    const children = await currentWorkers(this.gateway).catch(() => []);
    const theirs = await Promise.all(children.map((pid) => childPids(pid).catch(() => [])));
    const pids = (await Promise.all([...children, ...theirs.flat()].map(asWorker))).flat();
    return pids.length === 0 ? undefined : pick(roll, pids);
  }

  async #judge(): Promise<readonly string[]> {
    const all = this.#listeners;
    const faults: string[] = [];
    const faultsOf = (each: Listener): readonly string[] =>
      each.faults(all, this.#published, this.#options.losesPassed);
    const isWell = (): boolean => all.every((each) => each.isConnected && faultsOf(each).length === 0);
    await waitFor('the last words', isWell, END_LIMIT_MS).catch(() => undefined);
    const isCounted = async (): Promise<boolean> => (await this.gateway.metric('connections')) === all.length;
    await waitFor('the count', isCounted, END_LIMIT_MS).catch(async () => {
      faults.push(`counted ${await this.gateway.metric('connections')} connections of ${all.length}`);
    });
    await waitFor('presence', async () => (await this.#present()) === all.length, END_LIMIT_MS).catch(
      async () => {
        faults.push(`present ${await this.#present()} of ${all.length}`);
      },
    );
    for (const each of all) faults.push(...faultsOf(each));
    if (this.breaks === 0) {
      for (const { name, isUndisturbed } of all) if (!isUndisturbed) faults.push(`${name} noticed something`);
    }
    return faults;
  }

  async #present(): Promise<number> {
    const answer = await this.gateway.api('presence_stats', { channel: KEPT });
    return isJson(answer) && isJson(answer['result']) ? Number(answer['result']['num_clients']) : -1;
  }

  /** One after the other; each is repeated until it is taken. */
  async #publish(): Promise<void> {
    while (!this.#isOver) {
      const n = this.#published + 1;
      const body = JSON.stringify({
        channel: KEPT,
        data: { from: 'api', n },
        idempotency_key: `number-${n}`,
      });
      const isTaken = async (): Promise<boolean> => {
        const answer = await this.#post(body);
        if (answer !== '') this.note(`publication ${n}: ${answer}`);
        return answer === '';
      };
      await waitFor(`publication ${n} to be taken`, isTaken, END_LIMIT_MS);
      this.#published = n;
      await delay(API_PAUSE_MS);
    }
  }

  /** Resolves to why it was not taken. */
  async #post(body: string): Promise<string> {
    try {
      const response = await fetch(`${this.gateway.apiUrl}/publish`, {
        method: 'POST',
        headers: { 'X-API-Key': API_KEY, 'Content-Type': 'application/json' },
        body,
        signal: AbortSignal.timeout(API_LIMIT_MS),
      });
      const answer: unknown = JSON.parse(await response.text());
      if (response.status !== 200 || !isJson(answer)) return `status ${response.status}`;
      return answer['error'] === undefined ? '' : JSON.stringify(answer['error']);
    } catch (error) {
      return messageOf(error);
    }
  }

  async #talk(): Promise<void> {
    while (!this.#isOver) {
      for (const each of this.#listeners) if (each.isConnected) each.say();
      await delay(TALK_PAUSE_MS);
    }
  }

  async #deploy(): Promise<void> {
    const { seed, deploys } = this.#options;
    const roll = seeded(seed);
    while (!this.#isOver) {
      await delay(below(roll, DEPLOY_PAUSE_MS));
      const method = pick(roll, deploys);
      this.note(method);
      const outcome = await within(method, this.#ask(method), DEPLOY_LIMIT_MS);
      this.note(`${method}: ${outcome}`);
      if (outcome === 'done') this.deployed += 1;
      else this.failures.push(`${method}: ${outcome}`);
    }
  }

  async #ask(method: Deploy): Promise<string> {
    try {
      const control = await connectControl(this.gateway.controlSocket);
      const params = method === 'rebalance' ? { perSecond: 1000 } : null;
      try {
        await control.request(method, params, () => undefined);
      } finally {
        control.close();
      }
      return 'done';
    } catch (error) {
      return messageOf(error);
    }
  }

  async #trouble(): Promise<void> {
    const { seed, faults } = this.#options;
    const roll = seeded(seed + 1);
    while (!this.#isOver && faults.length > 0) {
      await delay(below(roll, FAULT_PAUSE_MS));
      const fault = pick(roll, faults);
      this.note(fault.name);
      await fault.run(this, roll);
    }
  }
}

export const killWorker: Fault = {
  name: 'kill -9 of a worker',
  async run(run, roll) {
    const pid = await run.someWorker(roll);
    if (pid === undefined) return;
    run.breaks += 1;
    killIfAlive(pid);
  },
};

function standStill(name: string, find: (run: FaultRun, roll: Roll) => Promise<number | undefined>): Fault {
  return {
    name: `${name} stands still`,
    async run(run, roll) {
      const pid = await find(run, roll);
      if (pid === undefined || !isSignalled(pid, 'SIGSTOP')) return;
      await delay(below(roll, 1500));
      isSignalled(pid, 'SIGCONT');
    },
  };
}

export const stopWorker = standStill('a worker', (run, roll) => run.someWorker(roll));
export const stopPrimary = standStill('the primary', async ({ gateway }) => currentPrimary(gateway));

/** Redis keeps what it has; only its answers are late. */
export function stopRedis(redis: RedisServer): Fault {
  return {
    name: 'Redis stands still',
    async run(_run, roll) {
      redis.child.signal('SIGSTOP');
      await delay(below(roll, 7000));
      redis.child.signal('SIGCONT');
    },
  };
}

export function cutFromRedis(redis: RedisServer): Fault {
  return {
    name: 'connections to Redis break',
    async run(_run, roll) {
      await redis.admin.call('CLIENT', 'KILL', 'TYPE', pick(roll, ['normal', 'pubsub']));
    },
  };
}

/** Primaries are called with `serve`. */
async function asWorker(pid: number): Promise<readonly number[]> {
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => 'serve');
  return command.split('\0').includes('serve') ? [] : [pid];
}

function isSignalled(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

function read(data: unknown): { readonly from: string; readonly n: number } {
  const value: unknown = data instanceof Uint8Array ? JSON.parse(Buffer.from(data).toString()) : data;
  return isJson(value) ? { from: String(value['from']), n: Number(value['n']) } : { from: '', n: 0 };
}
