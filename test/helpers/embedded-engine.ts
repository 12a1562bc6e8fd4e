// The embedded engine with one client of it, as a primary and a worker have them, in this process.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { BrokerListener } from '../../src/engine/broker.ts';
import { MemoryEngineClient } from '../../src/engine/memory/engine-client.ts';
import { MemoryEngineServer } from '../../src/engine/memory/engine-server.ts';
import { systemClock } from '../../src/util/clock.ts';
import type { Scope } from './scope.ts';
import { tempDir } from './temp-dir.ts';

const deaf: BrokerListener = {
  onPublication: () => undefined,
  onJoin: () => undefined,
  onLeave: () => undefined,
  onInterruption: () => undefined,
};

export interface EmbeddedEngine {
  readonly server: MemoryEngineServer;
  /** Of the server's socket. */
  readonly path: string;
  connect(listener?: BrokerListener): Promise<MemoryEngineClient>;
}

export async function embeddedEngine(scope: Scope): Promise<EmbeddedEngine> {
  const path = join(await tempDir(scope), 'engine.sock');
  const server = new MemoryEngineServer({ clock: systemClock, path, newEpoch: randomUUID });
  await server.listen();
  scope.teardown(() => server.close());
  return {
    server,
    path,
    connect: async (listener = deaf) => {
      const client = new MemoryEngineClient({
        clock: systemClock,
        random: Math.random,
        path,
        node: randomUUID(),
        listener,
      });
      scope.teardown(() => client.close());
      await client.connect();
      return client;
    },
  };
}
