// Which names are subscribed at which server. What a server loses is subscribed again when it is back, or at the server that
// has the slot then, in portions, so that ten thousand channels do not come as one command.
import type { RedisNode } from './redis-node.ts';
import type { ShardListener } from './shard.ts';

/** Subscribed again at once; the next portion waits for the answers. */
const PORTION = 1000;
const RETRY_MS = 500;

interface Placement {
  readonly name: string;
  readonly tag: string;
  /** Where it is, or is being, subscribed. */
  node: RedisNode | undefined;
  /** Deliveries come. */
  live: boolean;
  /** It was live once, so that `onBack` is due. */
  wasLive: boolean;
}

export interface SubscriptionsDeps {
  /** Undefined while nobody is known to have it. */
  readonly nodeFor: (tag: string) => RedisNode | undefined;
  readonly listener: Pick<ShardListener, 'onLost' | 'onBack'>;
  readonly noNode: () => Error;
  /** A name could not be subscribed again. It is tried later. */
  readonly onRefused: (error: unknown) => void;
}

export class Subscriptions {
  readonly #deps: SubscriptionsDeps;
  readonly #placements = new Map<string, Placement>();
  #isPlacing = false;
  #placeAgain = false;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(deps: SubscriptionsDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#placements.size;
  }

  async subscribe(tag: string, name: string): Promise<void> {
    const node = this.#deps.nodeFor(tag);
    if (node === undefined) throw this.#deps.noNode();
    const placement: Placement = { name, tag, node, live: false, wasLive: false };
    this.#placements.set(name, placement);
    try {
      await node.subscriber.subscribe(name);
      // It may have gone since it answered.
      if (!node.subscriber.up) throw this.#deps.noNode();
    } catch (error) {
      if (this.#has(placement)) this.#placements.delete(name);
      throw error;
    }
    if (this.#has(placement)) this.#becomeLive(placement);
  }

  unsubscribe(name: string): void {
    const placement = this.#placements.get(name);
    this.#placements.delete(name);
    placement?.node?.subscriber.unsubscribe(name);
  }

  /** Everything at this server is gone. */
  lost(node: RedisNode): void {
    for (const placement of this.#placements.values()) {
      if (placement.node === node) this.#becomeLost(placement);
    }
  }

  /** Brings every name to where it belongs now. */
  async place(): Promise<void> {
    this.#placeAgain = true;
    if (this.#isPlacing) return;
    this.#isPlacing = true;
    while (this.#placeAgain && !this.#closed) {
      this.#placeAgain = false;
      await this.#placeMisplaced();
    }
    this.#isPlacing = false;
  }

  /** Subscribes anew what this server has ended by itself. */
  check(node: RedisNode): void {
    const { subscribed } = node.subscriber;
    for (const placement of this.#placements.values()) {
      if (placement.node === node && !subscribed.has(placement.name)) this.#becomeLost(placement);
    }
    void this.place();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#placements.clear();
  }

  async #placeMisplaced(): Promise<void> {
    const misplaced: Placement[] = [];
    for (const placement of this.#placements.values()) {
      const node = this.#deps.nodeFor(placement.tag);
      if (placement.wasLive && (!placement.live || placement.node !== node)) misplaced.push(placement);
    }
    for (let at = 0; at < misplaced.length && !this.#closed; at += PORTION) {
      await Promise.all(misplaced.slice(at, at + PORTION).map((placement) => this.#replace(placement)));
    }
  }

  async #replace(placement: Placement): Promise<void> {
    const { name, tag, node: before } = placement;
    const node = this.#deps.nodeFor(tag);
    if (!this.#has(placement)) return;
    if (placement.live) {
      before?.subscriber.unsubscribe(name);
      this.#becomeLost(placement);
    }
    placement.node = node;
    if (node === undefined || !node.subscriber.up) return;
    try {
      await node.subscriber.subscribe(name);
    } catch (error) {
      this.#deps.onRefused(error);
      this.#retryLater();
      return;
    }
    const now = this.#placements.get(name);
    if (now !== placement) {
      // Unless it was left and is wanted again.
      if (now?.node !== node) node.subscriber.unsubscribe(name);
    } else if (placement.node === node && node.subscriber.up) this.#becomeLive(placement);
  }

  #becomeLive(placement: Placement): void {
    const isBack = placement.wasLive;
    placement.live = true;
    placement.wasLive = true;
    if (isBack) this.#deps.listener.onBack(placement.name);
  }

  #becomeLost(placement: Placement): void {
    if (!placement.live) return;
    placement.live = false;
    this.#deps.listener.onLost(placement.name);
  }

  #has(placement: Placement): boolean {
    return this.#placements.get(placement.name) === placement;
  }

  #retryLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      void this.place();
    }, RETRY_MS);
  }
}
