// Two hosts on one Redis: the compiled program twice.
import { type Gateway, startGateway } from './gateway.ts';
import { type RedisServer, startRedis } from './redis.ts';
import type { Scope } from './scope.ts';
import { isJson, type Json } from './server-frames.ts';

export interface Hosts {
  readonly redis: RedisServer;
  readonly a: Gateway;
  readonly b: Gateway;
}

/** `config`: sections of both hosts, beside the engine. */
export async function twoHosts(scope: Scope, config: Json = {}): Promise<Hosts> {
  const redis = await startRedis(scope);
  const engine = { type: 'redis', redis: { address: `unix://${redis.path}`, presence_ttl: '10s' } };
  const start = (): Promise<Gateway> => startGateway(scope, { config: { engine, ...config } });
  const [a, b] = await Promise.all([start(), start()]);
  return { redis, a, b };
}

/** What the server API of this host answers; an error reply is thrown. */
export async function apiResult(gateway: Gateway, method: string, params: Json = {}): Promise<Json> {
  const answer = await gateway.api(method, params);
  const found = isJson(answer) ? answer['result'] : undefined;
  if (!isJson(found)) throw new Error(`${method}: ${JSON.stringify(answer)}`);
  return found;
}

export async function clientsIn(gateway: Gateway, channel: string): Promise<number> {
  return Number((await apiResult(gateway, 'presence_stats', { channel }))['num_clients']);
}

/** Ids of the workers that a host knows. */
export async function knownNodes(gateway: Gateway): Promise<readonly string[]> {
  const { nodes } = await apiResult(gateway, 'info');
  return Array.isArray(nodes) ? nodes.map((node: unknown) => (isJson(node) ? String(node['uid']) : '')) : [];
}
