// Why a token is refused. A message names the claim or the step that failed, never anything out of the token itself.
import { HoldfastError } from '../util/errors.ts';

/** The token will never be good: close 3500 at connect, error 103 at subscribe (client protocol §14.3). */
export class InvalidTokenError extends HoldfastError {
  constructor(message: string, code = 'HOLDFAST_TOKEN_INVALID') {
    super(code, message);
  }
}

/** No key is configured for the algorithm of this token: most likely a gap in the configuration. */
export class NoTokenKeyError extends InvalidTokenError {
  constructor(message: string) {
    super(message, 'HOLDFAST_TOKEN_NO_KEY');
  }
}

/** Authentic, but past `exp` or before `nbf`: error 109, and the client fetches a new one. */
export class TokenExpiredError extends HoldfastError {
  constructor(message: string) {
    super('HOLDFAST_TOKEN_EXPIRED', message);
  }
}
