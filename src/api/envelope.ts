// What wraps results and errors of the server API (server API §1).
import type { Logger } from '../observe/logger.ts';
import { UnavailableError } from '../util/errors.ts';
import { ApiErrors, ApiFailure } from './api-errors.ts';

/** The failure a caller may see; what is none of ours becomes error 100, and `onInternal` hears of it. */
export function asApiFailure(error: unknown, onInternal: (error: unknown) => void): ApiFailure {
  if (error instanceof ApiFailure) return error;
  onInternal(error);
  return new ApiFailure(ApiErrors.internal);
}

/** `{"error":{…}}` */
export function errorJson(error: unknown, onInternal: (error: unknown) => void): string {
  return `{"error":${bareErrorJson(asApiFailure(error, onInternal))}}`;
}

export function bareErrorJson(failure: ApiFailure): string {
  return JSON.stringify({ code: failure.spec.code, message: failure.message });
}

/** The engine being away is said once by whoever watches it, not once for each call. */
export function logInternalErrors(logger: Pick<Logger, 'debug' | 'error'>): (error: unknown) => void {
  return (error) => {
    if (error instanceof UnavailableError) logger.debug({ err: error }, 'api call needs what is away');
    else logger.error({ err: error }, 'api call failed');
  };
}
