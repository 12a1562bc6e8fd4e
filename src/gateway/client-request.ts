// What the request that opens a connection says about its client, by whatever transport it comes.
import { randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type Session, signsOfLife } from '../connection/session.ts';
import type { TrustedProxies } from '../util/client-address.ts';
import type { Clock } from '../util/clock.ts';

export interface ClientRequestOptions {
  /** Lower-case names of request headers that are kept for later. */
  readonly keptHeaders: readonly string[];
  /** Cookie that may hold a connection token; empty for none. */
  readonly tokenCookie: string;
  /** An `Authorization: Bearer` header holds a connection token, rather than something for the application. */
  readonly takesBearer: boolean;
  /** Whose word counts for where a request comes from. */
  readonly proxies: TrustedProxies;
}

export interface SessionReaderDeps {
  readonly clock: Clock;
}

/** 192 bits: the session's secret alone lets its owner send commands. */
const SECRET_BYTES = 24;
/** Enough to tell what it is; it stays in memory as long as the connection. */
const MAX_USER_AGENT_LENGTH = 256;
const SID = /^[\w-]{20}$/;
const BEARER = /^Bearer +(\S+) *$/i;
const NO_CHANNELS: readonly string[] = Object.freeze([]);
const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

export class SessionReader {
  readonly #clock: Clock;
  readonly #options: ClientRequestOptions;

  constructor(deps: SessionReaderDeps, options: ClientRequestOptions) {
    this.#clock = deps.clock;
    this.#options = options;
  }

  /** `withSecret`: commands may come by other requests, or pushes only (client protocol §5.1). */
  read(request: IncomingMessage, query: URLSearchParams, withSecret: boolean): Session {
    const sid = query.get('sid') ?? '';
    const connectedAtWallMs = this.#clock.wallMs();
    return {
      client: randomUUID(),
      secret: withSecret ? randomBytes(SECRET_BYTES).toString('base64url') : '',
      sid: SID.test(sid) ? sid : '',
      user: '',
      connInfo: undefined,
      meta: undefined,
      name: '',
      version: '',
      expireAtWallMs: Infinity,
      clientSideRefresh: false,
      tokenChannels: NO_CHANNELS,
      connectedAtWallMs,
      remoteAddress: this.#options.proxies.clientAddress(
        request.socket.remoteAddress ?? '',
        [request.headers['x-forwarded-for'] ?? ''].flat().join(','),
      ),
      userAgent: (request.headers['user-agent'] ?? '').slice(0, MAX_USER_AGENT_LENGTH),
      headers: pick(request.headers, this.#options.keptHeaders),
      emulatedHeaders: NO_HEADERS,
      offeredToken: offeredToken(request.headers, query, this.#options),
      signs: signsOfLife(connectedAtWallMs),
      rates: undefined,
      inboundBytes: undefined,
    };
  }
}

/** Path and query of a request target. */
export function parseTarget(target = ''): { readonly path: string; readonly query: URLSearchParams } {
  const at = target.indexOf('?');
  return at === -1
    ? { path: target, query: new URLSearchParams() }
    : { path: target.slice(0, at), query: new URLSearchParams(target.slice(at + 1)) };
}

/** A token outside of the connect command, for clients that cannot put one there. */
export function offeredToken(
  headers: IncomingMessage['headers'],
  query: URLSearchParams,
  { tokenCookie, takesBearer }: Pick<ClientRequestOptions, 'tokenCookie' | 'takesBearer'>,
): string {
  const bearer = takesBearer ? BEARER.exec(headers.authorization ?? '')?.[1] : undefined;
  return (
    bearer ?? query.get('token') ?? (tokenCookie === '' ? '' : cookie(headers.cookie ?? '', tokenCookie))
  );
}

function cookie(header: string, name: string): string {
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=');
    if (at !== -1 && pair.slice(0, at).trim() === name)
      return pair
        .slice(at + 1)
        .trim()
        .replaceAll('"', '');
  }
  return '';
}

function pick(
  headers: IncomingMessage['headers'],
  names: readonly string[],
): Readonly<Record<string, string>> {
  if (names.length === 0) return NO_HEADERS;
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = headers[name];
    if (value !== undefined) picked[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return picked;
}
