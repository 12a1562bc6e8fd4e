// The embedded engine as the primary keeps it: takes up the state of a planned restart, and leaves its own at the end.
import { accessSync, constants, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { MemoryEngineServer, type MemoryEngineServerDeps } from '../engine/memory/engine-server.ts';
import { readSnapshot, SnapshotError, writeSnapshot } from '../engine/memory/snapshot-file.ts';
import { WireError } from '../engine/wire-error.ts';
import type { Logger } from '../observe/logger.ts';
import { ConfigError } from '../util/errors.ts';

export interface EmbeddedEngineDeps extends MemoryEngineServerDeps {
  readonly logger: Logger;
  /** Undefined: history ends with the process. */
  readonly snapshotFile: string | undefined;
}

export class EmbeddedEngine {
  readonly #deps: EmbeddedEngineDeps;
  readonly #server: MemoryEngineServer;
  /** What there is now follows from what was read: it may replace it. */
  #isRestored = false;

  constructor(deps: EmbeddedEngineDeps) {
    this.#deps = deps;
    this.#server = new MemoryEngineServer(deps);
  }

  /** Resolves when workers can link. Throws ConfigError when the snapshot can be neither read nor set aside. */
  async listen(): Promise<void> {
    const { snapshotFile } = this.#deps;
    if (snapshotFile !== undefined) this.#restore(snapshotFile);
    await this.#server.listen();
  }

  /** Ends all links; what the engine knows is kept first. */
  async close(): Promise<void> {
    await this.#server.close();
    const { snapshotFile } = this.#deps;
    if (snapshotFile !== undefined && this.#isRestored) this.#save(snapshotFile);
    this.#isRestored = false;
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
      const reason = error instanceof Error ? error.message : String(error);
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
      if (isMissing(error)) return false;
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

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** 20261122T115304.123Z */
function fileTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replaceAll(/[-:]/g, '');
}
