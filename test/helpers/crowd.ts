// Many official clients that talk without a break, and keep account of everything: what is missing, repeated or swapped, and
// whether any of them noticed that something happened to its connection.
import { setTimeout as delay } from 'node:timers/promises';
import { State, SubscriptionState } from 'centrifuge';
import type { ClientOptions } from 'ws';
import { OfficialClient } from './centrifuge.ts';
import type { Gateway } from './gateway.ts';
import type { Scope } from './scope.ts';
import { waitFor } from './wait-for.ts';

export interface CrowdOptions {
  readonly gateway: Gateway;
  /** Several: they come in by turns. */
  readonly url: string | readonly string[];
  readonly clients: number;
  readonly socket?: ClientOptions;
  /** Requests of the server API may fail. */
  readonly losesRequests?: boolean;
  /** Nothing is published through the server API. */
  readonly withoutApi?: boolean;
}

/** Clients that talk to each other. */
const GROUP_SIZE = 5;
/** Of up to 60 clients; a larger crowd talks less, so that its own process keeps up with what it hears. */
const TALK_INTERVAL_MS = 100;
const API_INTERVAL_MS = 20;
const SMALL_CROWD = 60;

/** Channels for the configuration of the gateway. */
export const CROWD_CHANNELS = {
  without_namespace: { presence: true },
  namespaces: [
    { name: 'kept', history_size: 10_000, history_ttl: '300s', force_recovery: true, join_leave: true },
  ],
};

/** The numbers of each sender, as one receiver gets them in one channel. */
class Account {
  readonly last = new Map<string, number>();
  readonly faults: string[] = [];

  take(who: string, data: unknown): void {
    const { from, n } = read(data);
    const last = this.last.get(from);
    if (last !== undefined && n !== last + 1) this.faults.push(`${who}: ${from} ${n} after ${last}`);
    this.last.set(from, Math.max(n, last ?? 0));
  }
}

interface Member {
  readonly name: string;
  readonly official: OfficialClient;
  readonly isProtobuf: boolean;
  readonly accounts: Map<string, Account>;
  readonly group: string;
  sent: number;
  failed: number;
}

export class Crowd {
  readonly #options: CrowdOptions;
  readonly #members: Member[] = [];
  readonly #talking: Promise<void>[] = [];
  #apiSent = 0;
  readonly #slowness: number;
  #isOver = false;

  constructor(options: CrowdOptions) {
    this.#options = options;
    this.#slowness = Math.max(1, options.clients / SMALL_CROWD);
  }

  /** Connects everybody; half of them speak JSON, half Protobuf. */
  async gather(scope: Scope): Promise<void> {
    const { url, clients, socket = {} } = this.#options;
    const urls = typeof url === 'string' ? [url] : url;
    for (let at = 0; at < clients; at += 20) {
      const some = Array.from({ length: Math.min(20, clients - at) }, (_, index) => at + index);
      await Promise.all(
        some.map((number) => {
          // Two of each, as every other one speaks Protobuf.
          const way = urls[Math.floor(number / 2) % urls.length] ?? '';
          return this.#join(scope, number, way, socket);
        }),
      );
    }
  }

  talk(): void {
    for (const member of this.#members) this.#talking.push(this.#talk(member));
    if (this.#options.withoutApi !== true) this.#talking.push(this.#publishByApi());
  }

  /** Everybody falls silent; resolves when all have heard everything, if they are to. */
  async hush(hearsAll = true): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#talking);
    if (!hearsAll) return;
    await waitFor('the last words', () => this.missing().length === 0).catch(() => undefined);
  }

  /** Everybody disconnects. */
  leave(): void {
    for (const { official } of this.#members) official.client.disconnect();
  }

  /** What some receiver has not got in the end. */
  missing(): readonly string[] {
    const missing: string[] = [];
    for (const { name, accounts, group } of this.#members) {
      const expect = (channel: string, from: string, n: number): void => {
        const last = accounts.get(channel)?.last.get(from) ?? 0;
        if (last !== n) missing.push(`${name} in ${channel}: ${from} ended with ${last} of ${n}`);
      };
      expect('plain', 'api', this.#apiSent);
      expect('kept:all', 'api', this.#apiSent);
      for (const other of this.#members) if (other.group === group) expect(group, other.name, other.sent);
    }
    return missing;
  }

  /** Everything that no client should have noticed. */
  faults(): readonly string[] {
    const faults = [...this.missing()];
    for (const { name, official, accounts, failed } of this.#members) {
      for (const account of accounts.values()) faults.push(...account.faults);
      const seen = (kind: 'connecting' | 'disconnected' | 'error'): number => official.count(kind);
      if (seen('connecting') !== 1) faults.push(`${name} connected ${seen('connecting')} times`);
      if (seen('disconnected') !== 0) faults.push(`${name} was disconnected`);
      if (seen('error') !== 0) faults.push(`${name} had an error`);
      if (failed > 0) faults.push(`${name}: ${failed} publications failed`);
    }
    return faults;
  }

  get clientIds(): readonly string[] {
    return this.#members.map(({ official }) => official.id);
  }

  /** Connected now. */
  get connected(): number {
    return this.#members.filter(({ official }) => official.client.state === State.Connected).length;
  }

  /** How many times each of them has connected, in the order of `clientIds`. */
  get connects(): readonly number[] {
    return this.#members.map(({ official }) => official.count('connected'));
  }

  /** Of whose connections nothing has been noticed. */
  get undisturbed(): number {
    return this.#members.filter(({ official }) => official.count('connecting') === 1).length;
  }

  /** What those of whose connections nothing has been noticed have missed, or got twice, of each other. */
  faultsOfUndisturbed(): readonly string[] {
    const others = this.#members.filter(({ official }) => official.count('connecting') !== 1);
    return this.#members.flatMap(({ name, official, accounts }) => {
      if (official.count('connecting') !== 1) return [];
      const faults = [...accounts.values()].flatMap((account) => account.faults);
      const own = faults.filter((text) => !others.some((other) => text.includes(`: ${other.name} `)));
      return official.count('error') === 0 ? own : [...own, `${name} had an error`];
    });
  }

  get sent(): number {
    return this.#apiSent + this.#members.reduce((sum, { sent }) => sum + sent, 0);
  }

  async #join(scope: Scope, number: number, url: string, socket: ClientOptions): Promise<void> {
    const isProtobuf = number % 2 === 1;
    const official = new OfficialClient(scope, url, { protobuf: isProtobuf, socket });
    const group = `group-${Math.floor(number / GROUP_SIZE)}`;
    const accounts = new Map<string, Account>();
    const name = `client-${number}`;
    for (const channel of ['plain', 'kept:all', group]) {
      const account = new Account();
      accounts.set(channel, account);
      const { subscription } = official.newSubscription(channel);
      subscription.on('publication', ({ data }) => account.take(`${name} in ${channel}`, data));
      for (const kind of ['join', 'leave', 'unsubscribed'] as const) {
        subscription.on(kind, () => account.faults.push(`${name} in ${channel}: ${kind}`));
      }
      let times = 0;
      subscription.on('subscribing', () => {
        times += 1;
        if (times > 1) account.faults.push(`${name} in ${channel}: subscribed again`);
      });
      subscription.subscribe();
    }
    await official.connect();
    await waitFor('subscriptions', () =>
      Object.values(official.client.subscriptions()).every(
        ({ state }) => state === SubscriptionState.Subscribed,
      ),
    );
    this.#members.push({ name, official, isProtobuf, accounts, group, sent: 0, failed: 0 });
  }

  async #talk(member: Member): Promise<void> {
    await delay(Math.random() * TALK_INTERVAL_MS * this.#slowness);
    while (!this.#isOver) {
      const n = member.sent + 1;
      const words = { from: member.name, n };
      const data = member.isProtobuf ? Buffer.from(JSON.stringify(words)) : words;
      member.sent = n;
      // Not waited for: several are under way at once.
      member.official.client.publish(member.group, data).catch(() => {
        member.failed += 1;
      });
      await delay(TALK_INTERVAL_MS * this.#slowness);
    }
  }

  async #publishByApi(): Promise<void> {
    const { gateway } = this.#options;
    while (!this.#isOver) {
      const n = this.#apiSent + 1;
      const data = { from: 'api', n };
      await gateway.api('broadcast', { channels: ['plain', 'kept:all'], data }).catch((error: unknown) => {
        // A worker that is killed takes requests along.
        if (!(error instanceof TypeError && this.#options.losesRequests === true)) throw error;
      });
      this.#apiSent = n;
      await delay(API_INTERVAL_MS * this.#slowness);
    }
  }
}

function read(data: unknown): { readonly from: string; readonly n: number } {
  const value: unknown = data instanceof Uint8Array ? JSON.parse(Buffer.from(data).toString()) : data;
  if (typeof value === 'object' && value !== null && 'from' in value && 'n' in value) {
    return { from: String(value.from), n: Number(value.n) };
  }
  return { from: '', n: 0 };
}
