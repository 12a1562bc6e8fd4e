// API method rpc: calls an extension method that the application registered.
import { z } from 'zod';
import { ApiErrors, ApiFailure } from './api-errors.ts';
import { rawJson } from './fields.ts';
import { apiMethod, type ApiMethod } from './method.ts';
import { payloadMember, payloadOf } from './payload.ts';

/** Takes the raw JSON of `params`, resolves to the raw JSON of `data`; undefined when there is none. */
export type RpcHandler = (params: Buffer | undefined) => Promise<Buffer | undefined>;

export interface RpcDeps {
  readonly rpc: ReadonlyMap<string, RpcHandler>;
}

export function rpcMethods(deps: RpcDeps): ApiMethod[] {
  return [
    apiMethod({
      name: 'rpc',
      summary: 'Call an extension method of the application.',
      params: z.object({
        method: z.string().min(1, 'must not be empty').meta({ description: 'Name of the extension method.' }),
        params: rawJson('Handed to the method.'),
      }),
      result: z.object({ data: z.unknown().optional() }),
      run: async (params, source) => {
        const handler = deps.rpc.get(params.method);
        if (handler === undefined) {
          throw new ApiFailure(ApiErrors.notFound, `rpc method ${JSON.stringify(params.method)}`);
        }
        const data = await handler(payloadOf(source, 'params', ''));
        return data === undefined ? '{}' : `{${payloadMember('data', data)}}`;
      },
    }),
  ];
}
