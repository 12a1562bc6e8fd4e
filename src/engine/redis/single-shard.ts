// A Redis that is one server.
import { UnavailableError } from '../../util/errors.ts';
import { translated } from './command-link.ts';
import { NODES_TAG } from './keys.ts';
import type { Argument } from './link.ts';
import { type NodeHealth, type RedisContext, RedisNode } from './redis-node.ts';
import { type ServerTarget, targetName } from './settings.ts';
import { runOn, type ScriptCall, type Shard, type ShardListener } from './shard.ts';
import { Subscriptions } from './subscriptions.ts';

export class SingleShard implements Shard {
  readonly name: string;
  readonly publishCommand = 'PUBLISH';
  readonly #node: RedisNode;
  readonly #subscriptions: Subscriptions;

  constructor(context: RedisContext, target: ServerTarget, listener: ShardListener) {
    this.name = targetName(target);
    this.#node = new RedisNode({
      context,
      target,
      name: this.name,
      sharded: false,
      onMessage: (name, message) => listener.onMessage(name, message),
      onMoved: () => undefined,
      onUp: (isRenewed) => {
        void this.#subscriptions.place();
        if (isRenewed) listener.onRenewed(this);
        listener.onUp(this);
      },
      onDown: () => this.#subscriptions.lost(this.#node),
    });
    this.#subscriptions = new Subscriptions({
      nodeFor: () => this.#node,
      listener,
      onRefused: () => undefined,
      noNode: () => this.refusal() ?? new UnavailableError('the connection to Redis broke'),
    });
    this.#node.probeAt(NODES_TAG);
  }

  get up(): boolean {
    return this.#node.up;
  }
  get nodes(): readonly RedisNode[] {
    return [this.#node];
  }
  get health(): readonly NodeHealth[] {
    return [this.#node.health];
  }

  open(): void {
    this.#node.open();
  }

  async close(): Promise<void> {
    this.#subscriptions.close();
    await this.#node.close();
  }

  refusal(): Error | undefined {
    return this.#node.commands.refusal();
  }

  call(_tag: string, command: string, args: readonly Argument[], bytes = 0): Promise<unknown> {
    return translated(this.#node.commands.call(command, args, bytes));
  }

  run(_tag: string, call: ScriptCall): Promise<unknown> {
    return translated(runOn(this.#node, call, this.nodes));
  }

  subscribe(tag: string, name: string): Promise<void> {
    return translated(this.#subscriptions.subscribe(tag, name));
  }

  unsubscribe(name: string): void {
    this.#subscriptions.unsubscribe(name);
  }
}
