// A Redis whose servers change: the master that sentinels name, or the masters of a Cluster. Keeps connections to those who
// own something now, moves subscriptions along, and follows where a Cluster redirects to.
import { UnavailableError } from '../../util/errors.ts';
import { pause } from '../../util/pause.ts';
import { translated } from './command-link.ts';
import type { Argument } from './link.ts';
import { type Redirection, redirection } from './redirection.ts';
import { type NodeHealth, type RedisContext, RedisNode } from './redis-node.ts';
import { type RedisTarget, targetName } from './settings.ts';
import { runOn, type ScriptCall, type Shard, type ShardListener } from './shard.ts';
import { Subscriptions } from './subscriptions.ts';
import type { Owner, Topology, TopologyListener } from './topology.ts';

/** Of the second that everybody is promised: after it redirections are not followed any more. */
const PATIENCE_MS = 600;
const PAUSE_MS = 50;

export interface DiscoveredShardDeps {
  readonly context: RedisContext;
  readonly target: RedisTarget;
  readonly listener: ShardListener;
  readonly sharded: boolean;
  readonly topology: (listener: TopologyListener) => Topology;
}

export class DiscoveredShard implements Shard {
  readonly name: string;
  readonly publishCommand: 'PUBLISH' | 'SPUBLISH';
  readonly #deps: DiscoveredShardDeps;
  readonly #topology: Topology;
  readonly #nodes = new Map<string, RedisNode>();
  readonly #subscriptions: Subscriptions;
  readonly #consulting = new Map<RedisNode, Promise<void>>();
  readonly #leaving = new Set<Promise<void>>();
  #closed = false;

  constructor(deps: DiscoveredShardDeps) {
    this.#deps = deps;
    this.name = targetName(deps.target);
    this.publishCommand = deps.sharded ? 'SPUBLISH' : 'PUBLISH';
    this.#topology = deps.topology({ onChange: (failedOver) => this.#onChange(failedOver) });
    this.#subscriptions = new Subscriptions({
      nodeFor: (tag) => this.#nodeFor(tag),
      listener: deps.listener,
      noNode: () => this.#noNode(),
      onRefused: (error) => {
        const to = redirection(error);
        if (to?.kind === 'moved') void this.#consult(to.server);
      },
    });
  }

  get up(): boolean {
    return this.#topology.fault === undefined && this.nodes.every(({ up }) => up);
  }
  get nodes(): readonly RedisNode[] {
    return [...this.#nodes.values()];
  }
  get health(): readonly NodeHealth[] {
    const { fault } = this.#topology;
    const own = fault === undefined ? [] : [{ name: this.name, ok: false, detail: fault }];
    return [...own, ...this.nodes.map(({ health }) => health)];
  }

  open(): void {
    this.#topology.open();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#subscriptions.close();
    await this.#topology.close();
    await Promise.all([...this.nodes.map((node) => node.close()), ...this.#leaving]);
  }

  refusal(tag: string): Error | undefined {
    const node = this.#nodeFor(tag);
    return node === undefined ? this.#noNode() : node.commands.refusal();
  }

  call(tag: string, command: string, args: readonly Argument[], bytes = 0): Promise<unknown> {
    return translated(this.#follow(tag, (node) => node.commands.call(command, args, bytes)));
  }

  run(tag: string, call: ScriptCall): Promise<unknown> {
    return translated(this.#follow(tag, (node) => runOn(node, call, this.nodes)));
  }

  subscribe(tag: string, name: string): Promise<void> {
    // The node is found anew each time, once the topology has been asked.
    return translated(this.#follow(tag, () => this.#subscriptions.subscribe(tag, name)));
  }

  unsubscribe(name: string): void {
    this.#subscriptions.unsubscribe(name);
  }

  #nodeFor(tag: string): RedisNode | undefined {
    return this.#nodes.get(this.#topology.ownerOf(tag) ?? '');
  }

  #noNode(): UnavailableError {
    return new UnavailableError(
      `no Redis has this: ${this.#topology.fault ?? 'the master is not connected yet'}`,
    );
  }

  /** Does it where the tag belongs, or where the answer says that it belongs. */
  async #follow<T>(tag: string, act: (node: RedisNode) => Promise<T>): Promise<T> {
    const { clock } = this.#deps.context;
    const startMs = clock.monotonicMs();
    let node = this.#nodeFor(tag);
    for (;;) {
      if (node === undefined) throw this.#noNode();
      try {
        return await act(node);
      } catch (error) {
        const to = redirection(error);
        if (to === undefined) throw error;
        const isLate = clock.monotonicMs() - startMs > PATIENCE_MS;
        if (isLate || this.#closed) throw error;
        node = await this.#next(tag, node, to);
        if (to.kind !== 'ask' || node === undefined) continue;
        // Written together with what it announces. If that is answered with another redirection, all begins anew.
        node.commands.call('ASKING', [], 0).catch(() => undefined);
      }
    }
  }

  async #next(tag: string, at: RedisNode, to: Redirection): Promise<RedisNode | undefined> {
    if (to.kind === 'ask') {
      const known = this.#nodes.get(`${to.server}/0`);
      if (known !== undefined) return known;
    }
    if (to.kind === 'moved') await this.#consult(to.server);
    if (this.#nodeFor(tag) === at) await pause(PAUSE_MS);
    return this.#nodeFor(tag);
  }

  /**
   * Asks who is said to have a slot how it came to that: by a failover, or because it was moved. Until that is known the
   * redirection is not followed.
   */
  async #consult(server: string): Promise<void> {
    this.#topology.hint();
    const node = this.#nodes.get(`${server}/0`);
    const target = node?.target;
    if (node === undefined || target?.kind !== 'server') return;
    let asking = this.#consulting.get(node);
    if (asking === undefined) {
      asking = node.commands.call('CLUSTER', ['NODES'], 0).then(
        (answer) => this.#topology.learn(target.host, answer),
        () => undefined,
      );
      this.#consulting.set(node, asking);
    }
    await asking;
    this.#consulting.delete(node);
  }

  #onChange(failedOver: boolean): void {
    if (this.#closed) return;
    const { owners } = this.#topology;
    const names = new Set(owners.map(({ name }) => name));
    const leaving = [...this.#nodes].filter(([name]) => !names.has(name));
    const hasNew = owners.some(({ name }) => !this.#nodes.has(name));
    for (const [name] of leaving) this.#nodes.delete(name);
    for (const owner of owners) {
      let node = this.#nodes.get(owner.name);
      if (node === undefined) {
        node = this.#makeNode(owner);
        this.#nodes.set(owner.name, node);
        node.open();
      }
      node.probeAt(owner.tag);
    }
    // A slot that moves between them is nothing to tell.
    if (hasNew || leaving.length > 0) {
      const masters = [...names];
      this.#deps.context.logger?.info({ redis: this.name, masters, failedOver }, 'redis has other masters');
    }
    if (failedOver) this.#deps.listener.onRenewed(this);
    void this.#subscriptions.place();
    for (const [, node] of leaving) this.#leave(node);
  }

  #leave(node: RedisNode): void {
    // Who waits for it is told now, not when a frozen server lets go of its connections.
    node.reset('it is no master any more');
    const leaving = node.close().finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }

  #makeNode({ name, target }: Owner): RedisNode {
    const { context, listener, sharded } = this.#deps;
    const node: RedisNode = new RedisNode({
      context,
      target,
      name,
      sharded,
      onMessage: (channel, message) => listener.onMessage(channel, message),
      onMoved: () => {
        this.#topology.hint();
        this.#subscriptions.check(node);
      },
      onUp: (isRenewed) => {
        void this.#subscriptions.place();
        if (isRenewed) listener.onRenewed(this);
        listener.onUp(this);
      },
      onDown: () => {
        this.#topology.hint();
        this.#subscriptions.lost(node);
      },
    });
    return node;
  }
}
