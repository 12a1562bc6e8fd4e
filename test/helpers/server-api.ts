// The server API over real HTTP, on the embedded engine.
import { once } from 'node:events';
import type { RpcHandler } from '../../src/api/rpc.ts';
import { apiMethods } from '../../src/api/methods.ts';
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
    readonly refusesPublications?: boolean;
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
  const deps = {
    broker: client.broker,
    presence: client.presence,
    bus: client.nodes,
    namespaces: new Namespaces(settings.naming, settings.withoutNamespace, settings.namespaces),
    rpc: options.rpc ?? new Map<string, RpcHandler>(),
    surveyTimeoutMs: 1_000,
    refusesPublications: () => options.refusesPublications ?? false,
    logger,
  };
  const documented = apiMethods({ ...deps, onInternalError: () => undefined });
  const api = createServerApi(
    {
      ...deps,
      keys: new ApiKeyCheck({ key: options.key ?? API_KEY, insecure: options.insecure ?? false }),
      calls: hot.apiCalls,
    },
    { prefix: '/api', errorMode: options.errorMode ?? '', maxBodyBytes: 1_000_000, version: '1.2.3' },
  );
  const servers = await createHttpServers({
    groups: [api],
    hasInternal: true,
    logger,
  });
  scope.teardown(() => servers.close());
  if (servers.internalServer === undefined) throw new Error('no internal server');
  servers.internalServer.listen(0, '127.0.0.1');
  await once(servers.internalServer, 'listening');
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
      const json = parsed(text);
      // Every result must have the shape that the OpenAPI document gives it.
      const members = Object(json);
      const result: unknown = method === 'batch' && members.error === undefined ? json : members.result;
      if (response.status === 200 && result !== undefined) documented.get(method)?.result.parse(result);
      return { status: response.status, text, json };
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** All methods, for a look at their schemas: none of them can be called. */
export function documentedMethods(): ReturnType<typeof apiMethods> {
  const unused: unknown = { onInternalError: () => undefined };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the methods hold, they use only when called
  return apiMethods(unused as Parameters<typeof apiMethods>[0]);
}
