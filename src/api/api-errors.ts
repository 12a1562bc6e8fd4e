// Errors of the server API (server API §1): those of the client protocol that it uses, its own, and their HTTP status in
// transport error mode.
import { type ReplyError, ReplyErrors } from '../protocol/reply-errors.ts';
import { HoldfastError } from '../util/errors.ts';

export interface ApiErrorSpec {
  readonly code: number;
  readonly message: string;
  /** In transport error mode. */
  readonly httpStatus: number;
}

const error = (from: { readonly code: number; readonly message: string }, httpStatus: number): ApiErrorSpec =>
  Object.freeze({ code: from.code, message: from.message, httpStatus });

export const ApiErrors = {
  internal: error(ReplyErrors.internal, 500),
  unknownChannel: error(ReplyErrors.unknownChannel, 404),
  notFound: error({ code: ReplyErrors.methodNotFound.code, message: 'not found' }, 404),
  badRequest: error(ReplyErrors.badRequest, 400),
  notAvailable: error(ReplyErrors.notAvailable, 400),
  unrecoverablePosition: error(ReplyErrors.unrecoverablePosition, 416),
  conflict: error({ code: 113, message: 'conflict' }, 409),
} as const;

/** An API method says no. The detail says what was wrong and where; it is for the caller. */
export class ApiFailure extends HoldfastError {
  readonly spec: ApiErrorSpec;

  constructor(spec: ApiErrorSpec, detail = '', options?: ErrorOptions) {
    super('HOLDFAST_API', detail === '' ? spec.message : `${spec.message}: ${detail}`, options);
    this.spec = spec;
  }
}

/** The API's form of an error that a channel name or a command of the client protocol earned. */
export function fromReplyError(reply: ReplyError, detail: string): ApiFailure {
  const spec = Object.values(ApiErrors).find((each) => each.code === reply.code);
  return new ApiFailure(spec ?? error(reply, 400), detail);
}
