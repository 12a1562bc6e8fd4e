// The masters of a Redis Cluster and their slots, as its nodes tell.
import {
  compare,
  mergeViews,
  NO_SLOTS,
  type NodeView,
  parseNodes,
  SLOTS,
  slotOf,
  type SlotMap,
} from './cluster-slots.ts';
import type { RedisContext } from './redis-node.ts';
import { Scouts } from './scouts.ts';
import { type ClusterTarget, type ServerTarget, targetName } from './settings.ts';
import type { Owner, Topology, TopologyListener } from './topology.ts';

/** Masters that are asked besides the nodes that were configured, which may go one by one. */
const MORE_SCOUTS = 3;
/** The view of the node that was asked last, besides the scouts. */
const LATEST = '';
const REMEMBERED_SLOTS = 20_000;

export class ClusterTopology implements Topology {
  readonly #target: ClusterTarget;
  readonly #listener: TopologyListener;
  readonly #scouts: Scouts;
  readonly #hosts = new Map<string, string>();
  readonly #views = new Map<string, readonly NodeView[]>();
  /** The same as texts. */
  readonly #seen = new Map<string, string>();
  readonly #slots = new Map<string, number>();
  #map: SlotMap = NO_SLOTS;
  #owners: readonly Owner[] = [];
  #names = new Map<string, string>();
  #unserved = SLOTS;

  constructor(context: RedisContext, target: ClusterTarget, listener: TopologyListener) {
    this.#target = target;
    this.#listener = listener;
    this.#scouts = new Scouts({
      context,
      question: ['CLUSTER', 'NODES'],
      onAnswer: (from, answer) => this.#onAnswer(from, answer),
    });
  }

  get owners(): readonly Owner[] {
    return this.#owners;
  }
  get fault(): string | undefined {
    if (this.#owners.length === 0) return `no node of the cluster tells its masters: ${this.#scouts.failure}`;
    return this.#unserved === 0 ? undefined : `${this.#unserved} slots of the cluster have no master`;
  }

  ownerOf(tag: string): string | undefined {
    return this.#names.get(this.#map.owners[this.#slotOf(tag)] ?? '');
  }

  open(): void {
    this.#useScouts();
  }

  hint(): void {
    this.#scouts.hint();
  }

  learn(host: string, answer: unknown): void {
    if (!Buffer.isBuffer(answer)) return;
    this.#see(LATEST, parseNodes(answer.toString(), host));
  }

  close(): Promise<void> {
    return this.#scouts.close();
  }

  /** Computed once for each of so many tags: every call asks. */
  #slotOf(tag: string): number {
    let slot = this.#slots.get(tag);
    if (slot === undefined) {
      slot = slotOf(tag);
      if (this.#slots.size >= REMEMBERED_SLOTS) this.#slots.clear();
      this.#slots.set(tag, slot);
    }
    return slot;
  }

  #onAnswer(from: string, answer: unknown): void {
    if (!Buffer.isBuffer(answer)) {
      // What is not told any more may still be right, as long as nobody tells anything else.
      if (this.#views.size > 1) {
        this.#views.delete(from);
        this.#seen.delete(from);
      }
      return;
    }
    this.#see(from, parseNodes(answer.toString(), this.#hosts.get(from) ?? ''));
  }

  /** Most answers say nothing new. */
  #see(from: string, view: readonly NodeView[]): void {
    const text = JSON.stringify(view);
    if (this.#seen.get(from) === text) return;
    this.#seen.set(from, text);
    this.#views.set(from, view);
    const map = mergeViews(this.#views.values());
    const { changed, failedOver } = compare(this.#map, map);
    this.#map = map;
    if (!changed) return;
    this.#setOwners();
    this.#useScouts();
    this.#listener.onChange(failedOver);
  }

  #setOwners(): void {
    const { owners, nodes } = this.#map;
    const tags = tagsOf(owners);
    this.#names = new Map();
    this.#unserved = owners.filter((owner) => owner === undefined).length;
    this.#owners = [...tags].flatMap(([id, tag]) => {
      const node = nodes.get(id);
      if (node === undefined) return [];
      const target = this.#targetOf(node);
      const name = targetName(target);
      this.#names.set(id, name);
      return [{ name, target, tag }];
    });
  }

  #targetOf({ host, hostname, port }: NodeView): ServerTarget {
    const { username, password, tls } = this.#target;
    // A certificate has names rather than addresses.
    const reached = tls !== undefined && hostname !== '' && hostname !== '?' ? hostname : host;
    return { kind: 'server', host: reached, port, db: 0, username, password, tls };
  }

  #useScouts(): void {
    const { seeds } = this.#target;
    const masters = this.#owners.map(({ target }) => target).slice(0, MORE_SCOUTS);
    const targets = [...seeds, ...masters];
    for (const target of targets) {
      if (target.kind === 'server') this.#hosts.set(targetName(target), target.host);
    }
    this.#scouts.use(targets);
  }
}

/** Every owner's tag: small numbers, until each has one. */
function tagsOf(owners: SlotMap['owners']): Map<string, string> {
  const wanted = new Set(owners);
  wanted.delete(undefined);
  const tags = new Map<string, string>();
  for (let number = 0; tags.size < wanted.size; number += 1) {
    const tag = String(number);
    const owner = owners[slotOf(tag)];
    if (owner !== undefined && !tags.has(owner)) tags.set(owner, tag);
  }
  return tags;
}
