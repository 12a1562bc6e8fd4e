// Puts the server API of one worker together.
import type { ApiKeyCheck } from '../auth/api-key.ts';
import type { LabelledCells } from '../observe/hot-counters.ts';
import type { Logger } from '../observe/logger.ts';
import { logInternalErrors } from './envelope.ts';
import { HttpApi, type HttpApiOptions } from './http-api.ts';
import { type ApiDeps, apiMethods } from './methods.ts';

export type ServerApiDeps = Omit<ApiDeps, 'onInternalError' | 'logger'> & {
  readonly keys: ApiKeyCheck;
  readonly logger: Logger;
  /** Calls by method and result. */
  readonly calls: LabelledCells;
};

/** What it returns is a group of HTTP routes. */
export function createServerApi(deps: ServerApiDeps, options: HttpApiOptions): HttpApi {
  const onInternalError = logInternalErrors(deps.logger);
  const methods = apiMethods({ ...deps, onInternalError });
  return new HttpApi({ methods, keys: deps.keys, calls: deps.calls, onInternalError }, options);
}
