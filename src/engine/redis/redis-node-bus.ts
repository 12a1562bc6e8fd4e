// The NodeBus over Redis: one pub/sub name for each node and one for all; who there is, the leases tell. Of several Redis
// any that works will do, for every node listens at each.
import type { Logger } from '../../observe/logger.ts';
import type { NodeBus, SurveyAnswer, SurveyResult } from '../node-bus.ts';
import { type Keys, NODES_TAG, type PubSubName } from './keys.ts';
import type { Shard } from './shard.ts';
import type { ShardRing } from './shard-ring.ts';

type Handler = (payload: unknown, from: string) => unknown;

/** As JSON. */
interface Message {
  /** tell: no answer wanted · ask · answer, which has a payload unless the node failed */
  readonly type: 'tell' | 'ask' | 'answer';
  readonly from: string;
  readonly kind: string;
  /** Of the survey. */
  readonly id: number;
  readonly ok: boolean;
  readonly payload: unknown;
}

interface Survey {
  readonly waitingFor: Set<string>;
  readonly answers: SurveyAnswer[];
  readonly failed: string[];
  readonly finish: () => void;
}

export interface RedisNodeBusDeps {
  readonly node: string;
  readonly keys: Keys;
  readonly ring: ShardRing;
  readonly logger: Logger | undefined;
}

export class RedisNodeBus implements NodeBus {
  readonly node: string;
  readonly #deps: RedisNodeBusDeps;
  readonly #handlers = new Map<string, Handler>();
  readonly #surveys = new Map<number, Survey>();
  readonly #listening = new Set<Shard>();
  #lastSurvey = 0;

  constructor(deps: RedisNodeBusDeps) {
    this.#deps = deps;
    this.node = deps.node;
  }

  /** Resolves when messages to this node arrive over this Redis. From then on it sees to that itself. */
  async listen(shard: Shard): Promise<void> {
    if (this.#listening.has(shard)) return;
    this.#listening.add(shard);
    const { keys } = this.#deps;
    try {
      await Promise.all([this.node, NODES_TAG].map((tag) => shard.subscribe(tag, keys.nodePubSub(tag))));
    } catch (error) {
      this.#listening.delete(shard);
      for (const tag of [this.node, NODES_TAG]) shard.unsubscribe(keys.nodePubSub(tag));
      throw error;
    }
  }

  async send(node: string, kind: string, payload: unknown): Promise<boolean> {
    if (node === NODES_TAG) return false;
    return (await this.#publish(node, { type: 'tell', kind, id: 0, ok: true, payload })) > 0;
  }

  async broadcast(kind: string, payload: unknown): Promise<void> {
    await this.#publish(NODES_TAG, { type: 'tell', kind, id: 0, ok: true, payload });
  }

  async survey(kind: string, payload: unknown, timeoutMs: number): Promise<SurveyResult> {
    const waitingFor = await this.#nodes();
    this.#lastSurvey += 1;
    const id = this.#lastSurvey;
    const answers: SurveyAnswer[] = [];
    const failed: string[] = [];
    const finished = new Promise<void>((resolve) => {
      const deadline = setTimeout(resolve, timeoutMs);
      const finish = (): void => {
        clearTimeout(deadline);
        resolve();
      };
      this.#surveys.set(id, { waitingFor, answers, failed, finish });
    });
    try {
      await this.#publish(NODES_TAG, { type: 'ask', kind, id, ok: true, payload });
      if (waitingFor.size > 0) await finished;
      return { answers, missing: [...failed, ...waitingFor] };
    } finally {
      this.#surveys.get(id)?.finish();
      this.#surveys.delete(id);
    }
  }

  handle(kind: string, handler: Handler): void {
    this.#handlers.set(kind, handler);
  }

  onMessage(name: PubSubName, bytes: Buffer): void {
    const message = parse(bytes);
    if (message === undefined || (name.tag !== this.node && name.tag !== NODES_TAG)) return;
    if (message.type === 'answer') this.#onAnswer(message);
    else void this.#handle(message);
  }

  close(): void {
    for (const survey of this.#surveys.values()) survey.finish();
  }

  async #publish(node: string, message: Omit<Message, 'from'>): Promise<number> {
    const { keys, ring } = this.#deps;
    // `undefined` travels as null, as it does within JSON arrays.
    const payload = message.payload ?? null;
    const text = JSON.stringify({ ...message, payload, from: this.node });
    const shard = ring.anyUp(node);
    const args = [keys.nodePubSub(node), text];
    return Number(await shard.call(node, shard.publishCommand, args, text.length));
  }

  /** All with a lease, also one that ended a moment ago: its node may be dead, and is missing then. */
  async #nodes(): Promise<Set<string>> {
    const { keys, ring } = this.#deps;
    // What has been given back stands at 0.
    const args = [keys.leases, '(0', '+inf'];
    const reply = await ring.anyUp(NODES_TAG).call(NODES_TAG, 'ZRANGEBYSCORE', args);
    const members: readonly unknown[] = Array.isArray(reply) ? reply : [];
    return new Set(members.map((member) => String(member).split(' ')[1] ?? ''));
  }

  #onAnswer({ id, from, ok, payload }: Message): void {
    const survey = this.#surveys.get(id);
    if (survey?.waitingFor.delete(from) !== true) return;
    if (ok) survey.answers.push({ node: from, result: payload });
    else survey.failed.push(from);
    if (survey.waitingFor.size === 0) survey.finish();
  }

  async #handle({ type, from, kind, id, payload }: Message): Promise<void> {
    const { logger } = this.#deps;
    const handler = this.#handlers.get(kind);
    let ok = false;
    let result: unknown;
    try {
      if (handler === undefined) logger?.warn({ kind, from }, 'node message of an unknown kind');
      else {
        result = await handler(payload, from);
        ok = true;
      }
    } catch (error) {
      logger?.error({ err: error, kind, from }, 'node message handler failed');
    }
    if (type !== 'ask') return;
    try {
      await this.#publish(from, { type: 'answer', kind, id, ok, payload: result });
    } catch {
      // Who asked names this node as missing.
    }
  }
}

/** Undefined: of another version, perhaps; then it is nothing for this one. */
function parse(bytes: Buffer): Message | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
  return isMessage(parsed) ? parsed : undefined;
}

function isMessage(value: unknown): value is Message {
  if (typeof value !== 'object' || value === null) return false;
  if (!('type' in value) || !['tell', 'ask', 'answer'].includes(String(value.type))) return false;
  if (!('from' in value) || typeof value.from !== 'string') return false;
  if (!('id' in value) || typeof value.id !== 'number' || !('payload' in value)) return false;
  return 'kind' in value && typeof value.kind === 'string' && 'ok' in value && typeof value.ok === 'boolean';
}
