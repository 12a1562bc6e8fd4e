// The ways in for clients with nothing behind them but lone connections: real sockets, real HTTP, in this process.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { clientTransports } from '../../src/app/worker-transports.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { Connection } from '../../src/connection/connection.ts';
import type { ConnectionShared } from '../../src/connection/surroundings.ts';
import type { MemoryEngineClient } from '../../src/engine/memory/engine-client.ts';
import { Admission, type AdmissionLimits } from '../../src/gateway/admission.ts';
import { EmulatedSessions } from '../../src/gateway/emulated-sessions.ts';
import { createHttpServers } from '../../src/gateway/http-server.ts';
import { OpenConnections } from '../../src/gateway/open-connections.ts';
import { HotCounters } from '../../src/observe/hot-counters.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { systemClock } from '../../src/util/clock.ts';
import { embeddedEngine } from './embedded-engine.ts';
import { LoneConnections } from './lone-connection.ts';
import { portOf } from './port-of.ts';
import type { Scope } from './scope.ts';

export interface TransportServerOptions {
  /** Every transport is on and every origin of `*.example` allowed, but for what stands here. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly limits?: Partial<AdmissionLimits>;
  /** Of another server, so that both are nodes of one cluster. */
  readonly engine?: Awaited<ReturnType<typeof embeddedEngine>>;
  /** Of a core, which then stands behind the connections. */
  readonly shared?: ConnectionShared;
}

interface Parts {
  readonly lone: LoneConnections;
  readonly counters: HotCounters;
  readonly emulated: EmulatedSessions;
  readonly open: OpenConnections;
  readonly bus: MemoryEngineClient['nodes'];
  readonly port: number;
  readonly logs: readonly string[];
  /** To be changed at will. */
  readonly state: { isDraining: boolean };
}

export class TransportServer {
  readonly parts: Parts;
  readonly lone: LoneConnections;

  private constructor(parts: Parts) {
    this.parts = parts;
    this.lone = parts.lone;
  }

  static async start(scope: Scope, options: TransportServerOptions = {}): Promise<TransportServer> {
    const engine = options.engine ?? (await embeddedEngine(scope));
    const { nodes: bus } = await engine.connect();
    const logs: string[] = [];
    const logger = createLogger({
      level: 'trace',
      role: 'worker',
      destination: { write: (line) => void logs.push(line) },
    });
    const state = { isDraining: false };
    const lone = new LoneConnections();
    const emulated = new EmulatedSessions();
    const binding = { bindSid: () => undefined, unbindSid: () => undefined };
    const shared = options.shared ?? lone.shared;
    const open = new OpenConnections(shared.owner, binding, emulated);
    const counters = new HotCounters();
    const admission = new Admission(
      {
        nowMs: () => 0,
        openConnections: () => open.size,
        isDraining: () => state.isDraining,
        isOverloaded: () => false,
      },
      { maxConnections: 0, connectionsPerSecond: 0, ...options.limits },
    );
    const transports = clientTransports(
      {
        shared: { ...shared, owner: open },
        emulated,
        admission,
        bus,
        counters,
        clock: systemClock,
        onOpened: (connection) => open.add(connection),
        onAdopted: (connection) => open.adopt(connection),
      },
      configSchema.parse({ ...ALL_ON, ...options.config }),
    );
    const servers = await createHttpServers({ groups: transports.groups, logger });
    transports.attach(servers.publicServer);
    const front = createServer({ allowHalfOpen: true }, (socket) =>
      servers.publicServer.emit('connection', socket),
    );
    front.listen(0, '127.0.0.1');
    await once(front, 'listening');
    scope.teardown(async () => {
      front.close();
      for (const connection of open.all()) connection.transport.destroy();
      await servers.close();
    });
    return new TransportServer({ lone, counters, emulated, open, bus, port: portOf(front), logs, state });
  }

  /** The only connection that is open. */
  get connection(): Connection {
    const [only, ...others] = this.parts.open.all();
    if (only === undefined || others.length > 0)
      throw new Error(`${others.length} other connections are open`);
    return only;
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.parts.port}${path}`;
  }
}

const ON = { enabled: true };
const ALL_ON = {
  client: { allowed_origins: ['https://*.example'] },
  http_stream: ON,
  sse: ON,
  uni_websocket: ON,
  uni_http_stream: ON,
  uni_sse: ON,
};
