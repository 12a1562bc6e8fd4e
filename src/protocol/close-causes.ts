// The one table of reasons for which a connection ends (client protocol §8). Code ranges decide whether an SDK
// comes back: below 3500 and 4000-4499 it does, 3500-3999 and 4500-4999 it does not.

export interface CloseCause {
  /** Metric label and log field. */
  readonly name: string;
  readonly code: number;
  /** Plain words, never valid JSON (an SDK would parse it), at most 123 bytes of UTF-8. */
  readonly reason: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

const cause = (
  name: string,
  code: number,
  reason: string,
  logLevel: CloseCause['logLevel'] = 'info',
): CloseCause => Object.freeze({ name, code, reason, logLevel });

export const CloseCauses = {
  /** The peer went away; never written as a frame. */
  connectionClosed: cause('connection_closed', 3000, 'connection closed', 'debug'),
  shutdown: cause('shutdown', 3001, 'shutdown', 'debug'),
  internalError: cause('internal_error', 3004, 'internal server error', 'error'),
  expired: cause('expired', 3005, 'connection expired'),
  subscriptionExpired: cause('subscription_expired', 3006, 'subscription expired'),
  slow: cause('slow', 3008, 'slow'),
  writeError: cause('write_error', 3009, 'write error'),
  insufficientState: cause('insufficient_state', 3010, 'insufficient state'),
  forceReconnect: cause('force_reconnect', 3011, 'force reconnect'),
  noPong: cause('no_pong', 3012, 'no pong'),
  tooManyRequests: cause('too_many_requests', 3013, 'too many requests'),
  stateInvalidated: cause('state_invalidated', 3014, 'state invalidated'),
  invalidToken: cause('invalid_token', 3500, 'invalid token'),
  badRequest: cause('bad_request', 3501, 'bad request'),
  stale: cause('stale', 3502, 'stale'),
  forceDisconnect: cause('force_disconnect', 3503, 'force disconnect'),
  connectionLimit: cause('connection_limit', 3504, 'connection limit'),
  channelLimit: cause('channel_limit', 3505, 'channel limit'),
  inappropriateProtocol: cause('inappropriate_protocol', 3506, 'inappropriate protocol'),
  permissionDenied: cause('permission_denied', 3507, 'permission denied'),
  notAvailable: cause('not_available', 3508, 'not available'),
  tooManyErrors: cause('too_many_errors', 3509, 'too many errors'),
  /** Frames that break the rules of WebSocket (RFC 6455 §7.4.1): its library has said so to the peer already. */
  protocolError: cause('protocol_error', 1002, 'protocol error'),
  invalidPayload: cause('invalid_payload', 1007, 'invalid payload'),
  policyViolation: cause('policy_violation', 1008, 'policy violation'),
  messageTooBig: cause('message_too_big', 1009, 'message too big'),
  /** Told to a peer that never spoke the protocol when the server leaves (RFC 6455 §7.4.1). */
  goingAway: cause('going_away', 1001, 'going away', 'debug'),
} as const;

/** A cause that the application chose (API `disconnect`, webhook or app module). */
export function applicationCause(code: number, reason: string): CloseCause {
  return cause('application', code, safeReason(reason));
}

/** As the server API names it: a known code keeps its name and level, and its reason unless the caller has words of its own. */
export function causeOfCode(code: number, reason: string): CloseCause {
  const known = Object.values(CloseCauses).find((each) => each.code === code);
  // Nothing is said to a peer that has gone; this one is there, and hears the code that was chosen.
  if (known === CloseCauses.connectionClosed)
    return applicationCause(code, reason === '' ? known.reason : reason);
  if (known === undefined) return applicationCause(code, reason);
  const words = safeReason(reason);
  return words === '' || words === known.reason ? known : Object.freeze({ ...known, reason: words });
}

/** Shortens to 123 bytes and keeps an SDK from parsing the reason as JSON (client protocol §8). */
export function safeReason(reason: string): string {
  const text = shortened(reason);
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  return safeReason(`reason: ${text}`);
}

function shortened(reason: string): string {
  // No character takes less than a byte: the rest could not stay, however long it is.
  const start = reason.slice(0, MAX_REASON_BYTES);
  const bytes = Buffer.from(start);
  if (bytes.length <= MAX_REASON_BYTES) return start;
  let end = MAX_REASON_BYTES;
  // Not in the middle of a character.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

const MAX_REASON_BYTES = 123;
