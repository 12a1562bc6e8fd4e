// Addresses of Redis as a file gives them: `redis://user:password@host:6379/0`, `rediss://…` with TLS, `unix:///path`, or
// just `host:6379`.

interface HostPort {
  readonly host: string;
  readonly port: number;
}

interface RedisAddress {
  readonly at: HostPort | { readonly path: string };
  readonly tls: boolean;
  readonly user: string;
  readonly password: string;
  /** Undefined: as `db` says. */
  readonly db: number | undefined;
}

export const REDIS_ADDRESS_HINT =
  'expected an address such as "redis://127.0.0.1:6379", "rediss://user:password@host:6379/1" or "unix:///run/redis.sock"';

const DEFAULT_PORT = 6379;
export const SENTINEL_PORT = 26_379;

/** Undefined when it is none. */
export function parseRedisAddress(text: string, defaultPort = DEFAULT_PORT): RedisAddress | undefined {
  if (text.startsWith('unix://')) return parseSocket(text);
  const isUrl = /^[a-z+]+:\/\//.test(text);
  if (!isUrl) {
    const at = parseHostPort(text, defaultPort);
    return at === undefined ? undefined : { at, tls: false, user: '', password: '', db: undefined };
  }
  const url = parseUrl(text);
  if (url === undefined || (url.protocol !== 'redis:' && url.protocol !== 'rediss:')) return undefined;
  if (url.hostname === '' || url.search !== '' || url.hash !== '') return undefined;
  const db = /^\/?(\d*)$/.exec(url.pathname)?.[1];
  if (db === undefined) return undefined;
  return {
    at: { host: unbracketed(url.hostname), port: url.port === '' ? defaultPort : Number(url.port) },
    tls: url.protocol === 'rediss:',
    ...credentials(url),
    db: db === '' ? undefined : Number(db),
  };
}

/** `host:port`, `[::1]:port`; a missing port is the default one. */
function parseHostPort(text: string, defaultPort: number): HostPort | undefined {
  const url = parseUrl(`redis://${text}`);
  if (url === undefined || url.hostname === '' || url.username !== '' || url.password !== '')
    return undefined;
  if (url.pathname !== '' || url.search !== '' || url.hash !== '') return undefined;
  return { host: unbracketed(url.hostname), port: url.port === '' ? defaultPort : Number(url.port) };
}

/** `unix://user:password@/path`. */
function parseSocket(text: string): RedisAddress | undefined {
  const url = parseUrl(
    `redis://${text.slice('unix://'.length).replace(/^((?:[^/@]*@)?)\//, '$1localhost/')}`,
  );
  if (url === undefined || url.hostname !== 'localhost' || url.search !== '') return undefined;
  const path = decodeURIComponent(url.pathname);
  if (path === '' || path === '/') return undefined;
  return { at: { path }, tls: false, ...credentials(url), db: undefined };
}

function credentials(url: URL): { readonly user: string; readonly password: string } {
  return { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
}

function unbracketed(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host;
}

function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}
