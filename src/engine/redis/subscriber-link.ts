// The connection to a server over which deliveries come. Subscribes in batches, one a turn of the event loop; whoever
// subscribed does so again when the connection was lost.
import { UnavailableError } from '../../util/errors.ts';
import { Link, type LinkDeps } from './link.ts';
import { checkServer } from './server-check.ts';

/** Names in one command. */
const MAX_BATCH = 512;

export type SubscriberLinkDeps = Omit<LinkDeps, 'prepare'> & {
  /** Sharded pub/sub of a Cluster, where every name has a slot and a server of its own. */
  readonly sharded: boolean;
  readonly onMessage: (name: Buffer, message: Buffer) => void;
  /** The server has ended subscriptions by itself, because it does not have their slots any more. */
  readonly onMoved: () => void;
};

interface Wish {
  readonly name: string;
  /** Absent: to unsubscribe. */
  readonly subscribe?: { readonly resolve: () => void; readonly reject: (error: unknown) => void };
}

export class SubscriberLink {
  readonly #link: Link;
  readonly #sharded: boolean;
  #wishes: Wish[] = [];
  #flushing: NodeJS.Immediate | undefined;

  constructor(deps: SubscriberLinkDeps) {
    this.#sharded = deps.sharded;
    this.#link = new Link({
      ...deps,
      prepare: async (link) => {
        await checkServer(link);
      },
    });
    this.#link.redis
      .on(deps.sharded ? 'smessageBuffer' : 'messageBuffer', deps.onMessage)
      .on('moved', deps.onMoved);
  }

  get up(): boolean {
    return this.#link.up;
  }
  get connects(): number {
    return this.#link.connects;
  }
  get failure(): string {
    return this.#link.failure;
  }
  /** What the server delivers, as far as it has told. */
  get subscribed(): ReadonlySet<string> {
    const subscriptions = this.#link.redis.condition?.subscriber;
    const kind = this.#sharded ? 'ssubscribe' : 'subscribe';
    return new Set(typeof subscriptions === 'object' ? subscriptions.channels(kind) : []);
  }

  open(): void {
    this.#link.open();
  }

  refusal(): Error | undefined {
    return this.#link.refusal();
  }

  /** Resolves when every later message will come. */
  subscribe(name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#wish({ name, subscribe: { resolve, reject } });
    });
  }

  unsubscribe(name: string): void {
    if (this.#link.up) this.#wish({ name });
  }

  /** Resolves when everything that the server had sent before has been delivered. */
  async ping(): Promise<void> {
    await this.#link.call('ping', [], 0);
  }

  reset(reason: string): void {
    this.#link.reset(reason);
  }

  close(): Promise<void> {
    clearImmediate(this.#flushing);
    this.#flushing = undefined;
    const error = new UnavailableError('the connection to Redis is closed');
    for (const { subscribe } of this.#wishes.splice(0)) subscribe?.reject(error);
    return this.#link.close();
  }

  #wish(wish: Wish): void {
    this.#wishes.push(wish);
    this.#flushing ??= setImmediate(() => {
      this.#flushing = undefined;
      this.#flush();
    });
  }

  /** In order: a name may be in it twice. */
  #flush(): void {
    const wishes = this.#wishes;
    this.#wishes = [];
    const limit = this.#sharded ? 1 : MAX_BATCH;
    let batch: Wish[] = [];
    for (const wish of wishes) {
      const isSameKind = batch.length === 0 || isSubscribe(batch[0]) === isSubscribe(wish);
      if (!isSameKind || batch.length === limit) {
        void this.#send(batch);
        batch = [];
      }
      batch.push(wish);
    }
    if (batch.length > 0) void this.#send(batch);
  }

  async #send(batch: readonly Wish[]): Promise<void> {
    const subscribe = isSubscribe(batch[0]);
    const command = (this.#sharded ? 's' : '') + (subscribe ? 'subscribe' : 'unsubscribe');
    const names = batch.map(({ name }) => name);
    const bytes = names.join('').length;
    const link = this.#link;
    if (!subscribe) {
      // Also when Redis does not answer: it takes it later. No more can wait than was subscribed before.
      if (link.up) await link.callAnyway(command, names, bytes).catch(() => undefined);
      return;
    }
    const isRefused = link.refusal() !== undefined;
    try {
      await link.call(command, names, bytes);
      for (const wish of batch) wish.subscribe?.resolve();
    } catch (error) {
      for (const wish of batch) wish.subscribe?.reject(error);
      // Perhaps Redis takes it, only too late.
      if (!isRefused && link.up) for (const { name } of batch) this.#wish({ name });
    }
  }
}

function isSubscribe(wish: Wish | undefined): boolean {
  return wish?.subscribe !== undefined;
}
