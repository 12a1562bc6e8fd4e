// Where a running gateway is, as its configuration tells.
import type { Config } from '../config/schema.ts';

type Server = Config['http_server'];

/** The HTTP API: on the internal port where there is one. */
export function apiUrl(config: Config, given: string | undefined): URL {
  const { http_server: server, http_api: api } = config;
  const origin = given ?? (server.internal_port === null ? publicOrigin(server) : internalOrigin(server));
  return mounted(origin, api.handler_prefix);
}

export function websocketUrl(config: Config, given: string | undefined): URL {
  const origin = given ?? publicOrigin(config.http_server);
  return mounted(origin.replace(/^http/, 'ws'), config.websocket.handler_prefix);
}

/** An address without a path gets the configured one. */
function mounted(origin: string, path: string): URL {
  const url = new URL(origin);
  if (url.pathname === '/' || url.pathname === '') url.pathname = path;
  return url;
}

function publicOrigin(server: Server): string {
  return `http://${reachable(server.address)}:${server.port}`;
}

function internalOrigin(server: Server): string {
  return `http://${reachable(server.internal_address)}:${server.internal_port ?? 0}`;
}

function reachable(address: string): string {
  if (address === '' || address === '0.0.0.0' || address === '::') return '127.0.0.1';
  return address.includes(':') ? `[${address}]` : address;
}
