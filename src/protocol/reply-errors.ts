// The one table of errors a reply may carry (client protocol §7).

export interface ReplyError {
  readonly code: number;
  readonly message: string;
  /** The client may try the same again later. */
  readonly temporary: boolean;
}

const error = (code: number, message: string, temporary = false): ReplyError =>
  Object.freeze({ code, message, temporary });

export const ReplyErrors = {
  internal: error(100, 'internal server error', true),
  unauthorized: error(101, 'unauthorized'),
  unknownChannel: error(102, 'unknown channel'),
  permissionDenied: error(103, 'permission denied'),
  methodNotFound: error(104, 'method not found'),
  alreadySubscribed: error(105, 'already subscribed'),
  limitExceeded: error(106, 'limit exceeded'),
  badRequest: error(107, 'bad request'),
  notAvailable: error(108, 'not available'),
  tokenExpired: error(109, 'token expired'),
  expired: error(110, 'expired'),
  tooManyRequests: error(111, 'too many requests', true),
  unrecoverablePosition: error(112, 'unrecoverable position'),
  concurrentPagination: error(113, 'concurrent pagination', true),
} as const;
