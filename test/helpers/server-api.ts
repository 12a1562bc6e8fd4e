// The server API over real HTTP, on the embedded engine.
import { randomUUID } from 'node:crypto';
import type { RpcHandler } from '../../src/api/rpc.ts';
import { createServerApi } from '../../src/api/server-api.ts';
import { channelSettings } from '../../src/app/channel-options.ts';
import { ApiKeyCheck } from '../../src/auth/api-key.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { MemoryEngineClient } from '../../src/engine/memory/engine-client.ts';
import { createHttpServers } from '../../src/gateway/http-server.ts';
import { Namespaces } from '../../src/hub/namespaces.ts';
import { HotCounters } from '../../src/observe/hot-counters.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { type EmbeddedEngine, embeddedEngine } from './embedded-engine.ts';
import { portOf } from './port-of.ts';
import type { Scope } from './scope.ts';

export interface TestApi {
  readonly base: string;
  readonly engine: EmbeddedEngine;
  readonly client: MemoryEngineClient;
  readonly hot: HotCounters;
  /** Log lines so far. */
  readonly lines: readonly string[];
  /** Posts `body` (as it is when a string) with the right key. */
  call(method: string, body: unknown, headers?: Record<string, string>): Promise<ApiAnswer>;
}

export interface ApiAnswer {
  readonly status: number;
  readonly text: string;
  /** Of `text`, when it is JSON. */
  readonly json: unknown;
}

export const API_KEY = 'test-key';

export async function serverApi(
  scope: Scope,
  options: {
    readonly channel?: unknown;
    readonly key?: string;
    readonly insecure?: boolean;
    readonly errorMode?: '' | 'transport';
    readonly rpc?: ReadonlyMap<string, RpcHandler>;
  } = {},
): Promise<TestApi> {
  const engine = await embeddedEngine(scope);
  const client = await engine.connect();
  const settings = channelSettings(configSchema.parse({ channel: options.channel ?? {} }).channel);
  const hot = new HotCounters();
  const lines: string[] = [];
  const logger = createLogger({
    level: 'info',
    role: 'worker',
    destination: { write: (line) => void lines.push(line) },
  });
  const api = createServerApi(
    {
      broker: client.broker,
      presence: client.presence,
      bus: client.nodes,
      namespaces: new Namespaces(settings.naming, settings.withoutNamespace, settings.namespaces),
      rpc: options.rpc ?? new Map(),
      surveyTimeoutMs: 1_000,
      keys: new ApiKeyCheck({ key: options.key ?? API_KEY, insecure: options.insecure ?? false }),
      calls: hot.apiCalls,
      logger,
    },
    { prefix: '/api', errorMode: options.errorMode ?? '', maxBodyBytes: 1_000_000, version: '1.2.3' },
  );
  const servers = await createHttpServers({
    groups: [api],
    internal: { host: '127.0.0.1', port: 0 },
    logger,
  });
  scope.teardown(() => servers.close());
  if (servers.internalServer === undefined) throw new Error('no internal listener');
  const base = `http://127.0.0.1:${portOf(servers.internalServer)}`;
  return {
    base,
    engine,
    client,
    hot,
    lines,
    call: async (method, body, headers = { 'x-api-key': API_KEY }) => {
      const response = await fetch(`${base}/api/${method}`, {
        method: 'POST',
        headers,
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
      const text = await response.text();
      return { status: response.status, text, json: parsed(text) };
    },
  };
}

/** Names that no other test of the process uses. */
export function uniqueName(prefix: string): string {
  return `${prefix}${randomUUID()}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
