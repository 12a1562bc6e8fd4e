// A worker's client of the embedded engine: broker, presence and node bus over one link.
import { UnavailableError } from '../../util/errors.ts';
import type { Broker } from '../broker.ts';
import type { EngineClientDeps } from '../engine-client.ts';
import type { NodeBus } from '../node-bus.ts';
import type { PresenceStore } from '../presence-store.ts';
import { ClientBroker } from './client-broker.ts';
import { ClientLink } from './client-link.ts';
import { ClientNodeBus } from './client-node-bus.ts';
import { ClientPresence } from './client-presence.ts';
import type { FrameReader } from '../frame-reader.ts';
import { FrameType } from './wire.ts';

const DEFAULT_CONNECT_TIMEOUT_MS = 5000;

export interface MemoryEngineClientDeps extends EngineClientDeps {
  /** Of the engine's UNIX socket. */
  readonly path: string;
}

export interface MemoryEngineClientStats {
  readonly up: boolean;
  /** Times that the link broke. */
  readonly interruptions: number;
  readonly published: number;
  /** Of them, those that needed no trip through the engine. */
  readonly publishedLocally: number;
  readonly delivered: number;
  readonly channels: number;
  readonly exclusiveChannels: number;
  readonly presenceEntries: number;
  readonly pendingRequests: number;
  readonly failedRequests: number;
  readonly queuedBytes: number;
}

interface Connecting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  readonly deadline: NodeJS.Timeout;
}

export class MemoryEngineClient {
  readonly #deps: MemoryEngineClientDeps;
  readonly #link: ClientLink;
  readonly #broker: ClientBroker;
  readonly #presence: ClientPresence;
  readonly #nodes: ClientNodeBus;
  #interruptions = 0;
  /** Since the link came up for the first time, a link that comes up ends an interruption. */
  #wasUp = false;
  #connecting: Connecting | undefined;
  #closing = false;

  constructor(deps: MemoryEngineClientDeps) {
    const { clock, random, path, node, listener, logger, maxQueuedBytes } = deps;
    this.#deps = deps;
    this.#link = new ClientLink({
      clock,
      random,
      path,
      node,
      wantsOccupancy: deps.onOccupancy !== undefined,
      logger,
      maxQueuedBytes,
      onUp: () => {
        this.#onUp();
      },
      onDown: () => {
        this.#onDown();
      },
      onMoved: () => {
        this.#presence.retell();
        // Should the link break, everything is told again.
        this.#broker.moved().catch(() => undefined);
        this.#deps.logger?.debug('another engine goes on');
      },
      onFrame: (frame) => {
        this.#onFrame(frame);
      },
    });
    this.#broker = new ClientBroker({ clock, link: this.#link, node, listener, logger });
    this.#presence = new ClientPresence(this.#link);
    this.#nodes = new ClientNodeBus({ link: this.#link, node, logger });
  }

  get broker(): Broker {
    return this.#broker;
  }
  get presence(): PresenceStore {
    return this.#presence;
  }
  get nodes(): NodeBus {
    return this.#nodes;
  }

  get stats(): MemoryEngineClientStats {
    const { published, publishedLocally, channels } = this.#broker;
    return {
      up: this.#link.up,
      interruptions: this.#interruptions,
      published,
      publishedLocally,
      delivered: channels.delivered,
      channels: channels.size,
      exclusiveChannels: channels.exclusive,
      presenceEntries: this.#presence.entries,
      pendingRequests: this.#link.pendingRequests,
      failedRequests: this.#link.failedRequests,
      queuedBytes: this.#link.queuedBytes,
    };
  }

  /** Resolves when the engine has answered; from then on the link is kept up until `close`. Called once. */
  connect(timeoutMs = DEFAULT_CONNECT_TIMEOUT_MS): Promise<void> {
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(() => {
        void this.close();
      }, timeoutMs);
      this.#connecting = { resolve, reject, deadline };
      this.#link.open();
    });
  }

  /** A message to the engine and back: resolves with the time it took, rejects with UnavailableError within a second. */
  async ping(): Promise<number> {
    const startMs = this.#deps.clock.monotonicMs();
    await this.#link.request(FrameType.ping, { write: () => undefined, read: () => undefined });
    return this.#deps.clock.monotonicMs() - startMs;
  }

  /** The link is one queue each way. */
  async settle(): Promise<void> {
    await this.ping().catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#connected(new UnavailableError(`no engine answers at ${this.#deps.path}`));
    await this.#link.close();
    this.#broker.channels.close();
    this.#presence.close();
  }

  #connected(failure?: Error): void {
    const connecting = this.#connecting;
    if (connecting === undefined) return;
    this.#connecting = undefined;
    clearTimeout(connecting.deadline);
    if (failure === undefined) connecting.resolve();
    else connecting.reject(failure);
  }

  #onUp(): void {
    this.#connected();
    this.#presence.retell();
    if (!this.#wasUp) {
      this.#wasUp = true;
      return;
    }
    void this.#recover();
  }

  async #recover(): Promise<void> {
    try {
      // All interest first: what is compared with the engine afterwards can miss nothing that comes later.
      await this.#broker.resubscribe();
    } catch {
      this.#link.reset();
      return;
    }
    this.#deps.logger?.info({ interruptions: this.#interruptions }, 'engine link is back');
    this.#broker.channels.interruption();
  }

  #onDown(): void {
    this.#broker.channels.interrupted();
    this.#nodes.interrupted();
    if (this.#closing) return;
    this.#interruptions += 1;
    this.#deps.logger?.warn({ interruptions: this.#interruptions }, 'engine link broke');
  }

  #onFrame(frame: FrameReader): void {
    if (frame.type === FrameType.nodeMessage) this.#nodes.onMessage(frame);
    else if (frame.type === FrameType.occupancy) this.#deps.onOccupancy?.(frame.string(), frame.u8() !== 0);
    else if (frame.type === FrameType.surveyAnswer) this.#nodes.onSurveyAnswer(frame);
    else this.#broker.onFrame(frame);
  }
}
