// The embedded engine for the contract suites and component tests: a server and clients in this process, over a real
// socket, with a clock that can be set forward.
import { join } from 'node:path';
import { MemoryEngineClient, type MemoryEngineClientDeps } from '../../src/engine/memory/engine-client.ts';
import { MemoryEngineServer, type MemoryEngineServerDeps } from '../../src/engine/memory/engine-server.ts';
import { type Clock, systemClock } from '../../src/util/clock.ts';
import type { Scope } from '../helpers/scope.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { type EngineClient, type EngineUnderTest, Recording } from './engine-under-test.ts';

export interface MemoryEngineTestClient extends EngineClient {
  readonly engineClient: MemoryEngineClient;
}

export class MemoryEngine implements EngineUnderTest {
  readonly goesOnAlone = false;
  readonly path: string;
  readonly #scope: Scope;
  readonly #overrides: Partial<MemoryEngineServerDeps>;
  #aheadMs = 0;
  #epochs = 0;
  #nodes = 0;
  server: MemoryEngineServer;

  constructor(scope: Scope, path: string, overrides: Partial<MemoryEngineServerDeps>) {
    this.#scope = scope;
    this.path = path;
    this.#overrides = overrides;
    this.server = this.#newServer();
    scope.teardown(() => this.server.close());
  }

  async client(options: Partial<MemoryEngineClientDeps> = {}): Promise<MemoryEngineTestClient> {
    const events = new Recording();
    this.#nodes += 1;
    const client = new MemoryEngineClient({
      clock: systemClock,
      random: Math.random,
      path: this.path,
      node: `node-of-the-test-${String(this.#nodes)}`,
      listener: events,
      ...options,
    });
    this.#scope.teardown(() => client.close());
    await client.connect();
    const { broker, presence, nodes } = client;
    return { broker, presence, nodes, events, engineClient: client, close: () => client.close() };
  }

  elapse(ms: number): Promise<void> {
    this.#aheadMs += ms;
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return this.server.close();
  }

  start(state: Iterable<Buffer> = []): Promise<void> {
    this.server = this.#newServer();
    const pieces = [...state];
    if (pieces.length > 0) this.server.importState(pieces);
    return this.server.listen();
  }

  #newServer(): MemoryEngineServer {
    const clock: Clock = {
      monotonicMs: () => systemClock.monotonicMs() + this.#aheadMs,
      wallMs: () => systemClock.wallMs(),
    };
    const newEpoch = (): string => {
      this.#epochs += 1;
      return `e${String(this.#epochs)}`;
    };
    return new MemoryEngineServer({ clock, newEpoch, path: this.path, ...this.#overrides });
  }
}

export async function startMemoryEngine(
  scope: Scope,
  overrides: Partial<MemoryEngineServerDeps> = {},
): Promise<MemoryEngine> {
  const engine = new MemoryEngine(scope, join(await tempDir(scope), 'engine.sock'), overrides);
  await engine.server.listen();
  return engine;
}
