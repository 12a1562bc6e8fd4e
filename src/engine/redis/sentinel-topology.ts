// The master that sentinels name. They may differ for a while: the one with the highest configuration epoch knows best.
import { NODES_TAG } from './keys.ts';
import { chooseMaster, type MasterView, parseMaster } from './master-view.ts';
import type { RedisContext } from './redis-node.ts';
import { Scouts } from './scouts.ts';
import { type SentinelTarget, type ServerTarget, targetName } from './settings.ts';
import type { Owner, Topology, TopologyListener } from './topology.ts';

export class SentinelTopology implements Topology {
  readonly #target: SentinelTarget;
  readonly #listener: TopologyListener;
  readonly #scouts: Scouts;
  readonly #views = new Map<string, MasterView>();
  #master: MasterView | undefined;
  #owner: Owner | undefined;

  constructor(context: RedisContext, target: SentinelTarget, listener: TopologyListener) {
    this.#target = target;
    this.#listener = listener;
    this.#scouts = new Scouts({
      context,
      question: ['SENTINEL', 'MASTER', target.masterName],
      news: '+switch-master',
      onAnswer: (from, answer) => this.#onAnswer(from, answer),
    });
  }

  get owners(): readonly Owner[] {
    return this.#owner === undefined ? [] : [this.#owner];
  }
  get fault(): string | undefined {
    return this.#owner === undefined ? `no sentinel names a master: ${this.#scouts.failure}` : undefined;
  }

  ownerOf(): string | undefined {
    return this.#owner?.name;
  }

  open(): void {
    this.#scouts.use(this.#target.sentinels);
  }

  hint(): void {
    this.#scouts.hint();
  }

  learn(): void {
    // Its servers redirect nobody.
  }

  close(): Promise<void> {
    return this.#scouts.close();
  }

  #onAnswer(from: string, answer: unknown): void {
    const view = parseMaster(answer);
    if (view === undefined) this.#views.delete(from);
    else this.#views.set(from, view);
    const { sentinels } = this.#target;
    const master = chooseMaster([...this.#views.values()], this.#master, sentinels.length);
    if (master === undefined) return;
    this.#master = master;
    const { host, port } = master;
    const { username, password, tls, db } = this.#target;
    const found: ServerTarget = { kind: 'server', host, port, db, username, password, tls };
    const name = targetName(found);
    if (name === this.#owner?.name) return;
    const failedOver = this.#owner !== undefined;
    this.#owner = { name, target: found, tag: NODES_TAG };
    this.#listener.onChange(failedOver);
  }
}
