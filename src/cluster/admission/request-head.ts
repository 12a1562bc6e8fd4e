// What the primary reads of a request before a worker sees it: enough to route, refuse and count, and no more.

export interface RequestHead {
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
  /** Asks for a WebSocket. */
  readonly upgrade: boolean;
  /** The 20 characters of `sid=` in the query: a session that lives in one certain worker. */
  readonly sid: string | undefined;
  /** `X-Request-Id`: a proxy that repeats a request at another host keeps it. */
  readonly requestId: string | undefined;
  /** What proxies say about where it comes from; empty when none does. Believed only of proxies that are known. */
  readonly forwardedFor: string;
}

const REQUEST_LINE = /^(?:\r\n)*([A-Z]+) (\S+) HTTP\/1\.[01]\r\n/;
const UPGRADE = /\r\nupgrade:[ \t]*websocket[ \t]*\r\n/i;
/** Every line of an Upgrade header, be it for whatever protocol. */
const UPGRADE_LINES = /\r\nupgrade:[^\r\n]*(?=\r\n)/gi;
const REQUEST_ID = /\r\nx-request-id:[ \t]*([\w-]{8,64})[ \t]*\r\n/i;
const FORWARDED_FOR = /\r\nx-forwarded-for:[ \t]*([^\r\n]*)/gi;
const SID = /[?&]sid=([\w-]{20})/;

/** `head` runs up to and including the empty line. Undefined when it is no HTTP/1 request. */
export function parseRequestHead(head: Buffer): RequestHead | undefined {
  const text = head.toString('latin1');
  const line = REQUEST_LINE.exec(text);
  if (line === null) return undefined;
  const [, method = '', target = ''] = line;
  return {
    method,
    target,
    upgrade: UPGRADE.test(text),
    sid: SID.exec(target)?.[1],
    requestId: REQUEST_ID.exec(text)?.[1],
    forwardedFor: Array.from(text.matchAll(FORWARDED_FOR), ([, value = '']) => value.trim()).join(','),
  };
}

/**
 * The head without its Upgrade header. Whoever cannot switch to the protocol in question ignores the header (RFC 9110
 * §7.8), such as the `h2c` that Java's HTTP client offers with its first request; Node would stop to read HTTP there.
 */
export function withoutUpgrade(head: Buffer): Buffer {
  const text = head.toString('latin1');
  const rest = text.replace(UPGRADE_LINES, '');
  return rest.length === text.length ? head : Buffer.from(rest, 'latin1');
}
