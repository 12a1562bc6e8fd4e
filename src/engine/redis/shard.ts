// One Redis of possibly several: finds the server for a tag, and keeps subscriptions where they belong.
import type { PubSubName } from './keys.ts';
import type { Argument } from './link.ts';
import type { NodeHealth, RedisNode } from './redis-node.ts';
import type { Script } from './scripts.ts';

export interface ShardListener {
  onMessage(name: PubSubName, message: Buffer): void;
  /** Deliveries under this name are being lost; it is subscribed again as soon as may be. */
  onLost(name: string): void;
  /** From now on deliveries come again. */
  onBack(name: string): void;
  /** Commands work (again): what a Redis may have forgotten can be told again. */
  onUp(shard: Shard): void;
  /** It may have lost what it took last: another server is the master, or this one started anew. Before `onUp`. */
  onRenewed(shard: Shard): void;
}

/** What is called for a tag happens on the server that has its slot. All methods reject with UnavailableError in a second. */
export interface Shard {
  /** The same on every host. */
  readonly name: string;
  readonly up: boolean;
  readonly publishCommand: 'PUBLISH' | 'SPUBLISH';
  readonly nodes: readonly RedisNode[];
  readonly health: readonly NodeHealth[];
  open(): void;
  close(): Promise<void>;
  /** Why nothing can be sent now for this tag, or undefined. */
  refusal(tag: string): Error | undefined;
  call(tag: string, command: string, args: readonly Argument[], bytes?: number): Promise<unknown>;
  /** Who executes it becomes the first argument when `tellsRun`. */
  run(tag: string, call: ScriptCall): Promise<unknown>;
  /** Resolves when every later message will come. Once a name; rejected, nothing is left of it. */
  subscribe(tag: string, name: string): Promise<void>;
  unsubscribe(name: string): void;
}

/** Enough of a run id to know it. */
const RUN_CHARS = 12;

export interface ScriptCall {
  readonly script: Script;
  readonly keys: readonly string[];
  readonly args: readonly Argument[];
  /** Puts the run id of the server before the arguments, and those of other masters behind it: see publish.lua. */
  readonly tellsRun?: boolean;
  readonly bytes?: number;
}

/** `masters`: all of this shard. */
export function runOn(node: RedisNode, call: ScriptCall, masters: readonly RedisNode[]): Promise<unknown> {
  const { script, keys, args, tellsRun, bytes } = call;
  const { commands } = node;
  return commands.run(script, keys, tellsRun === true ? [runsOf(node, masters), ...args] : args, bytes ?? 0);
}

/** '' when this server does not tell its own. */
function runsOf(node: RedisNode, masters: readonly RedisNode[]): string {
  const own = shortRun(node);
  if (own === '' || masters.length === 1) return own;
  return own + masters.map((master) => (master === node ? '' : shortRun(master))).join('');
}

function shortRun({ commands }: RedisNode): string {
  return commands.runId.slice(0, RUN_CHARS);
}
