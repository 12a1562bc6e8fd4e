// The embedded engine: lives in the primary and serves the workers of this host over a UNIX socket.
import { randomUUID } from 'node:crypto';
import { renameSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from '../../observe/logger.ts';
import type { Clock } from '../../util/clock.ts';
import { listenUnnamed } from '../../util/listen-beside.ts';
import { HandleReader } from '../../util/native-handle.ts';
import { publisherOf } from '../numbering.ts';
import { InterestTable } from './interest.ts';
import { NodeRegistry } from './node-registry.ts';
import { PresenceRegistry } from './presence-registry.ts';
import { ServerLink } from './server-link.ts';
import { Standstill } from './standstill.ts';
import { type ServerCounters, ServerRequests } from './server-requests.ts';
import { MemoryStore } from './store.ts';

const DEFAULT_MAX_QUEUED_BYTES = 64 * 1024 * 1024;
const SWEEP_MS = 1000;
/** It goes on for as long as too much is published. */
const EVICTED_EVERY_MS = 60_000;
/** An exclusive holder that does not let go for so long is stuck: its link is cut, as if it had died. */
const SHARE_TIMEOUT_MS = 5000;
const OWNER_ONLY = 0o600;

export interface MemoryEngineServerDeps {
  readonly clock: Clock;
  /** Of the UNIX socket; a file left there by a dead process is replaced. */
  readonly path: string;
  /** Names a new stream: short, and never the same twice. */
  readonly newEpoch: () => string;
  readonly logger?: Logger | undefined;
  /** What may wait for one worker, 64 MiB by default. */
  readonly maxQueuedBytes?: number | undefined;
  /** Of histories; without a limit by default. */
  readonly maxHistoryBytes?: number | undefined;
}

export interface MemoryEngineServerStats extends Readonly<ServerCounters> {
  readonly links: number;
  /** Links that ended, since the start, and those of them that the engine cut. */
  readonly linksEnded: number;
  readonly linksCut: number;
  /** Waiting for workers now. */
  readonly queuedBytes: number;
  readonly channels: number;
  readonly streams: number;
  readonly historyPublications: number;
  readonly historyBytes: number;
  /** Publications that had to go before their time. */
  readonly historyEvicted: number;
  readonly idempotencyKeys: number;
  readonly presenceEntries: number;
}

export class MemoryEngineServer {
  readonly #deps: MemoryEngineServerDeps;
  readonly #store: MemoryStore;
  readonly #interest = new InterestTable<ServerLink>((channel, isOccupied, link) =>
    this.#tellOccupancy(channel, isOccupied, link),
  );
  readonly #presence = new PresenceRegistry<ServerLink>();
  readonly #nodes = new NodeRegistry();
  readonly #counters: ServerCounters = { published: 0, delivered: 0, suppressed: 0, requests: 0 };
  readonly #requests: ServerRequests;
  readonly #server: Server;
  readonly #links = new Set<ServerLink>();
  readonly #reader = new HandleReader();
  readonly #standstill = new Standstill({
    links: () => this.#links,
    isSettled: () => this.#interest.isSettled,
  });
  #waiting: ServerLink[] = [];
  #flushing: NodeJS.Immediate | undefined;
  #sweeping: NodeJS.Timeout | undefined;
  #isOpen = false;
  #linksEnded = 0;
  #linksCut = 0;
  #evictedTold = 0;
  #evictedSilentUntilMs = -Infinity;
  #closed: Promise<void> | undefined;

  constructor(deps: MemoryEngineServerDeps) {
    this.#deps = deps;
    this.#store = new MemoryStore(deps);
    this.#requests = new ServerRequests({
      clock: deps.clock,
      store: this.#store,
      interest: this.#interest,
      presence: this.#presence,
      nodes: this.#nodes,
      counters: this.#counters,
      standstill: this.#standstill,
      publisher: publisherOf(randomUUID()),
    });
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.#accept(socket);
    });
  }

  get stats(): MemoryEngineServerStats {
    let queuedBytes = 0;
    for (const link of this.#links) queuedBytes += link.queuedBytes;
    return {
      ...this.#counters,
      links: this.#links.size,
      linksEnded: this.#linksEnded,
      linksCut: this.#linksCut,
      queuedBytes,
      channels: this.#interest.channels,
      streams: this.#store.streams,
      historyPublications: this.#store.publications,
      historyBytes: this.#store.historyBytes,
      historyEvicted: this.#store.evicted,
      idempotencyKeys: this.#store.idempotencyKeys,
      presenceEntries: this.#presence.entries,
    };
  }

  /** Nodes that are linked. */
  get nodes(): readonly string[] {
    return this.#nodes.nodes;
  }

  /** See Standstill: true when nothing is under way any more, until `resume` or `leave`. */
  pause(timeoutMs: number): Promise<boolean> {
    return this.#standstill.pause(timeoutMs);
  }

  resume(): void {
    this.#standstill.resume();
  }

  /** Sends everybody to the engine that listens at the same path now. */
  leave(): void {
    this.#standstill.leave();
  }

  /** Before `prepare`: nobody goes on before these nodes have come, or the time is over, which begins with the first. */
  gather(nodes: readonly string[], timeoutMs: number): void {
    this.#standstill.gather(nodes, timeoutMs);
  }

  /** Resolves when workers can link. The directory of the socket belongs to the caller and should be private. */
  async listen(): Promise<void> {
    renameSync(await this.prepare(), this.#deps.path);
  }

  /** The same where another engine still serves: resolves to the file to which it gives the name of its socket, or does not. */
  async prepare(): Promise<string> {
    const unnamed = await listenUnnamed(this.#server, this.#deps.path);
    this.#isOpen = true;
    await chmod(unnamed, OWNER_ONLY);
    this.#sweeping = setInterval(() => {
      this.#sweep();
    }, SWEEP_MS);
    return unnamed;
  }

  /** Streams, positions and idempotency keys, for another engine to import. All pieces must be taken in one turn. */
  exportState(): Iterable<Buffer> {
    return this.#store.exportState();
  }

  /** Before `listen`: goes on where another engine stopped. Throws, and takes nothing, when the state is damaged. */
  importState(pieces: Iterable<Buffer>): void {
    this.#store.importState(pieces);
  }

  /** Ends all links and removes the socket, unless another engine has its name. */
  async close(isOthers = false): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      clearInterval(this.#sweeping);
      this.#standstill.close();
      // Not listening (any more) is as good as closed.
      this.#server.close(() => {
        resolve();
      });
      for (const link of this.#links) link.cut();
    });
    await this.#closed;
    clearImmediate(this.#flushing);
    if (this.#isOpen && !isOthers && !this.#standstill.isGone) await rm(this.#deps.path, { force: true });
  }

  #accept(socket: Socket): void {
    const link = new ServerLink({
      socket,
      reader: this.#reader,
      maxQueuedBytes: this.#deps.maxQueuedBytes ?? DEFAULT_MAX_QUEUED_BYTES,
      onFrame: (from, frame) => {
        this.#requests.handle(from, frame);
      },
      onEnd: (ended, cause) => {
        this.#ended(ended, cause);
      },
      onWaiting: (waiting) => {
        this.#waiting.push(waiting);
        this.#flushing ??= setImmediate(() => {
          this.#flush();
        });
      },
    });
    this.#links.add(link);
  }

  /** What the workers of one event-loop turn published leaves in one write for each worker. */
  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#flushing = undefined;
    for (const link of waiting) link.flush();
  }

  #ended(link: ServerLink, cause: Error | undefined): void {
    this.#links.delete(link);
    this.#linksEnded += 1;
    if (cause !== undefined) {
      this.#linksCut += 1;
      this.#deps.logger?.warn({ link: link.node, err: cause }, 'engine link cut');
    }
    this.#nodes.drop(link);
    this.#presence.drop(link);
    this.#interest.drop(link);
    this.#standstill.ended(link);
  }

  #tellEvicted(): void {
    const { clock, logger, maxHistoryBytes } = this.#deps;
    const { evicted } = this.#store;
    const nowMs = clock.monotonicMs();
    if (evicted === this.#evictedTold || nowMs < this.#evictedSilentUntilMs) return;
    logger?.warn(
      { publications: evicted - this.#evictedTold, maxHistoryBytes },
      'histories were cut short for want of memory',
    );
    this.#evictedTold = evicted;
    this.#evictedSilentUntilMs = nowMs + EVICTED_EVERY_MS;
  }

  /** To the worker whose subscriber it was or, when that is gone, to any other: one is enough. */
  #tellOccupancy(channel: string, isOccupied: boolean, link: ServerLink): void {
    if (this.#standstill.isMoving) return;
    const isThere = this.#links.has(link) && link.wantsOccupancy;
    const told = isThere ? link : [...this.#links].find(({ wantsOccupancy }) => wantsOccupancy);
    told?.occupancy(channel, isOccupied);
  }

  #sweep(): void {
    this.#store.sweep();
    this.#tellEvicted();
    const sinceMs = this.#deps.clock.monotonicMs() - SHARE_TIMEOUT_MS;
    for (const link of this.#interest.unresponsive(sinceMs)) {
      link.cut(new Error('the worker does not let go of an exclusive channel'));
    }
  }
}
