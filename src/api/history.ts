// API methods about what a channel keeps: history, history_remove.
import { z } from 'zod';
import type { Broker } from '../engine/broker.ts';
import type { Namespaces } from '../hub/namespaces.ts';
import type { ChannelOptions } from '../protocol/channel-options.ts';
import type { Publication } from '../protocol/publication.ts';
import { ApiErrors, ApiFailure } from './api-errors.ts';
import { optionsOf } from './channel-options.ts';
import { clientInfoJson, clientInfoResult } from './client-info.ts';
import { channel, flag, optional, streamPosition } from './fields.ts';
import { apiMethod, type ApiMethod } from './method.ts';
import { payloadMember } from './payload.ts';

export interface HistoryDeps {
  readonly broker: Pick<Broker, 'history' | 'removeHistory'>;
  readonly namespaces: Pick<Namespaces, 'resolve'>;
}

const historyParams = z.object({
  channel,
  limit: z
    .int()
    .nullish()
    .transform((value) => value ?? 0)
    .meta({ description: 'Most publications to return. 0: only the position; negative: all that are kept.' }),
  since: optional(streamPosition, 'Only publications after this position; before it when reversed.'),
  reverse: flag('Newest first.'),
});

export function historyMethods(deps: HistoryDeps): ApiMethod[] {
  return [
    apiMethod({
      name: 'history',
      summary: 'Publications that a channel keeps, and its position.',
      params: historyParams,
      result: z.object({
        publications: z.array(
          z.object({
            data: z.unknown().optional(),
            b64data: z.string().optional(),
            info: clientInfoResult.optional(),
            offset: z.int(),
            tags: z.record(z.string(), z.string()).optional(),
          }),
        ),
        offset: z.int(),
        epoch: z.string(),
      }),
      run: async (params) => {
        const options = withHistory(deps, params.channel);
        const { publications, top } = await deps.broker.history(params.channel, {
          limit: params.limit < 0 ? -1 : params.limit,
          since: params.since,
          reverse: params.reverse,
          historyMetaTtlMs: options.historyMetaTtlMs,
        });
        const epoch = params.since?.epoch ?? '';
        if (epoch !== '' && epoch !== top.epoch) {
          throw new ApiFailure(
            ApiErrors.unrecoverablePosition,
            'since.epoch: the stream has another epoch now',
          );
        }
        const list = publications.map(publicationJson).join(',');
        return `{"publications":[${list}],"epoch":${JSON.stringify(top.epoch)},"offset":${top.offset}}`;
      },
    }),
    apiMethod({
      name: 'history_remove',
      summary: 'Drop the publications that a channel keeps; offsets go on.',
      params: z.object({ channel }),
      result: z.object({}),
      run: async (params) => {
        withHistory(deps, params.channel);
        await deps.broker.removeHistory(params.channel);
        return '{}';
      },
    }),
  ];
}

function withHistory(deps: HistoryDeps, name: string): ChannelOptions {
  const options = optionsOf(deps.namespaces, name);
  if (options.historySize > 0 && options.historyTtlMs > 0) return options;
  throw new ApiFailure(ApiErrors.notAvailable, `channel ${JSON.stringify(name)} keeps no history`);
}

function publicationJson(publication: Publication): string {
  const members = [payloadMember('data', publication.data), `"offset":${publication.offset}`];
  if (publication.info !== undefined) members.push(`"info":${clientInfoJson(publication.info)}`);
  if (publication.tags !== undefined) members.push(`"tags":${JSON.stringify(publication.tags)}`);
  return `{${members.join(',')}}`;
}
