// The embedded engine as the primary keeps it: takes up the state of a planned restart, and leaves its own at the end.
import { accessSync, constants, existsSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import { MemoryEngineServer, type MemoryEngineServerDeps } from '../engine/memory/engine-server.ts';
import { readSnapshot, SnapshotError, writeSnapshot } from '../engine/memory/snapshot-file.ts';
import { WireError } from '../engine/wire-error.ts';
import type { Logger } from '../observe/logger.ts';
import { ConfigError, UnavailableError, messageOf, hasCode } from '../util/errors.ts';
import { pause } from '../util/pause.ts';

export interface EmbeddedEngineDeps extends MemoryEngineServerDeps {
  readonly logger: Logger;
  /** Undefined: history ends with the process. */
  readonly snapshotFile: string | undefined;
}

/** Of all memory, most of which is the workers'. */
const HISTORY_SHARE = 1 / 8;
/** Small publications are objects more than bytes. */
const HISTORY_HEAP_SHARE = 1 / 2;
/** Workers stop within milliseconds, unless they are stuck; publications wait meanwhile. */
const PAUSE_MS = 500;
const PAUSE_ATTEMPTS = 10;
const RETRY_MS = 500;
/** A worker that does not come by then goes on as after a broken link. */
const GATHER_MS = 2000;

export class EmbeddedEngine {
  readonly #deps: EmbeddedEngineDeps;
  #server: MemoryEngineServer;
  /** What there is now follows from what was read: it may replace it. */
  #isRestored = false;
  #isGone = false;
  /** Where this engine waits for the name that another one has; gone when it has got it. */
  #unnamed: string | undefined;

  constructor(deps: EmbeddedEngineDeps) {
    this.#deps = deps;
    this.#server = new MemoryEngineServer(deps);
  }

  /** What histories take, and how many publications had to go before their time. */
  get history(): { readonly bytes: number; readonly evicted: number } {
    const { historyBytes: bytes, historyEvicted: evicted } = this.#server.stats;
    return { bytes, evicted };
  }

  /** Resolves when workers can link. Throws ConfigError when the snapshot can be neither read nor set aside. */
  async listen(): Promise<void> {
    const { snapshotFile } = this.#deps;
    if (snapshotFile !== undefined) this.#restore(snapshotFile);
    await this.#server.listen();
  }

  /** Ends all links. The socket is removed, and what the engine knows is kept, unless that is the business of another primary. */
  async close(isOthers: boolean): Promise<void> {
    await this.#server.close(isOthers);
    const { snapshotFile } = this.#deps;
    if (snapshotFile !== undefined && this.#isRestored && !isOthers) this.#save(snapshotFile);
    this.#isRestored = false;
  }

  /**
   * Gives everything to the engine of another primary: `piece` gets the state, `take` brings the file at which that one listens.
   * It gets the name of the socket here and at once, so that an answer that comes too late changes nothing. Workers wait for
   * that, and go on there. Rejects when this engine still serves.
   */
  async giveAway(
    piece: (bytes: Buffer) => void,
    take: (nodes: readonly string[]) => Promise<string>,
  ): Promise<void> {
    const { path, logger, clock } = this.#deps;
    if (!(await this.#standStill())) throw new UnavailableError('the workers do not stop for the engine');
    const sinceMs = clock.monotonicMs();
    try {
      for (const bytes of this.#server.exportState()) piece(bytes);
      renameSync(await take(this.#server.nodes), path);
    } catch (error) {
      this.#server.resume();
      throw error;
    }
    this.#server.leave();
    this.#isRestored = false;
    this.#isGone = true;
    logger.info({ tookMs: Math.round(clock.monotonicMs() - sinceMs) }, 'engine given to another primary');
  }

  /** Is ready to go on with what another engine gave, once these nodes have linked. Resolves to what `take` has to bring. */
  async takeOver(pieces: readonly Buffer[], nodes: readonly string[]): Promise<string> {
    this.#server.importState(pieces);
    this.#isRestored = true;
    this.#server.gather(nodes, GATHER_MS);
    this.#unnamed = await this.#server.prepare();
    return this.#unnamed;
  }

  /** This primary is the gateway: what the other engine has not let go of is not known any more, and begins anew. */
  async settle(): Promise<void> {
    if (this.#unnamed !== undefined) {
      if (!existsSync(this.#unnamed)) return;
      await this.#server.close(true);
      this.#server = new MemoryEngineServer(this.#deps);
      this.#unnamed = undefined;
    }
    await this.listen();
  }

  /** The one that this engine was given to is gone: what is known begins anew. */
  async restart(): Promise<void> {
    if (!this.#isGone) return;
    await this.#server.close();
    this.#server = new MemoryEngineServer(this.#deps);
    this.#isGone = false;
    // Its snapshot went with what was given away: whatever this one knows at the end is the latest.
    this.#isRestored = true;
    await this.#server.listen();
  }

  async #standStill(): Promise<boolean> {
    for (let attempt = 1; attempt <= PAUSE_ATTEMPTS; attempt += 1) {
      if (await this.#server.pause(PAUSE_MS)) return true;
      await pause(RETRY_MS);
    }
    return false;
  }

  #restore(path: string): void {
    const { logger } = this.#deps;
    try {
      // Found out now, not when there is something to lose.
      accessSync(dirname(path), constants.W_OK);
      const hasState = this.#read(path);
      // From now on it is of the past: after a crash its offsets must not be given a second time.
      if (hasState) rmSync(path);
    } catch (error) {
      const reason = messageOf(error);
      throw new ConfigError(`engine.memory.snapshot_file: ${reason}`, { cause: error });
    }
    this.#isRestored = true;
    const { streams, historyPublications } = this.#server.stats;
    if (streams > 0) {
      logger.info({ path, streams, publications: historyPublications }, 'history of the last run taken up');
    }
  }

  /** False when there is none (any more). */
  #read(path: string): boolean {
    try {
      readSnapshot(path, (pieces) => this.#server.importState(pieces));
      return true;
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return false;
      if (!(error instanceof SnapshotError || error instanceof WireError)) throw error;
      const setAside = `${path}.damaged-${fileTime(this.#deps.clock.wallMs())}`;
      renameSync(path, setAside);
      this.#deps.logger.warn(
        { path, setAside, reason: error.message },
        'history of the last run cannot be used: it was set aside',
      );
      return false;
    }
  }

  #save(path: string): void {
    const { logger } = this.#deps;
    const { streams, idempotencyKeys, historyPublications } = this.#server.stats;
    if (streams + idempotencyKeys === 0) return;
    try {
      const bytes = writeSnapshot(path, this.#server.exportState());
      logger.info(
        { path, bytes, streams, publications: historyPublications },
        'history kept for the next run',
      );
    } catch (error) {
      logger.error({ err: error, path }, 'history could not be kept for the next run');
    }
  }
}

/** 20261122T115304.123Z */
function fileTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replaceAll(/[-:]/g, '');
}

/** Bytes that histories may take, when the configuration leaves it to us. */
export function historyLimit(configuredBytes: number, memoryBytes: number): number {
  if (configuredBytes > 0) return configuredBytes;
  return Math.min(memoryBytes * HISTORY_SHARE, getHeapStatistics().heap_size_limit * HISTORY_HEAP_SHARE);
}
