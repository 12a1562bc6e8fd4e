// API methods that publish: publish, broadcast.
import { z } from 'zod';
import { errorJson } from './envelope.ts';
import { channel, count, flag, rawJson, tags, text } from './fields.ts';
import { inTurns, publicationsAtOnce } from './in-turns.ts';
import { apiMethod, type ApiMethod } from './method.ts';
import { payloadOf } from './payload.ts';
import { type ApplicationPublishDeps, publishByApplication } from './publish-by-application.ts';

export interface PublishDeps extends ApplicationPublishDeps {
  /** Told of errors that the caller only sees as error 100. */
  readonly onInternalError: (error: unknown) => void;
}

const publication = {
  data: rawJson('Payload, passed on as it was written.'),
  b64data: text('Payload as base64, instead of `data`.'),
  skip_history: flag('Deliver without storing; the publication gets no offset.'),
  tags,
  idempotency_key: text('The same key in the same channel within five minutes returns the first result.'),
  delta: flag('Build a delta for subscribers that negotiated deltas.'),
  version: count(
    'Above 0: dropped unless greater than the last version seen. Ignored in channels without history.',
  ),
  version_epoch: text('A different epoch starts the comparison of versions anew.'),
};

const publishParams = z.object({ channel, ...publication });
const broadcastParams = z.object({
  channels: z.array(channel).min(1, 'must not be empty').meta({ description: 'Channel names.' }),
  ...publication,
});
type PublicationParams = Omit<z.output<typeof publishParams>, 'channel'>;

const publishResult = z.object({ offset: z.int().optional(), epoch: z.string().optional() });
const errorResult = z.object({ code: z.int(), message: z.string() });

export function publishMethods(deps: PublishDeps): ApiMethod[] {
  return [
    apiMethod({
      name: 'publish',
      summary: 'Publish into a channel.',
      params: publishParams,
      result: publishResult,
      run: (params, source) =>
        publishInto(deps, params.channel, params, payloadOf(source, 'data', params.b64data)),
    }),
    apiMethod({
      name: 'broadcast',
      summary: 'Publish the same into several channels; each has a response of its own, in the same order.',
      params: broadcastParams,
      result: z.object({
        responses: z.array(z.union([z.object({ result: publishResult }), z.object({ error: errorResult })])),
      }),
      run: async (params, source) => {
        const data = payloadOf(source, 'data', params.b64data);
        const responses = await inTurns(params.channels, publicationsAtOnce(data?.length ?? 0), (name) =>
          publishInto(deps, name, params, data).then(
            (result) => `{"result":${result}}`,
            (error: unknown) => errorJson(error, deps.onInternalError),
          ),
        );
        return `{"responses":[${responses.join(',')}]}`;
      },
    }),
  ];
}

async function publishInto(
  deps: PublishDeps,
  name: string,
  params: PublicationParams,
  data: Buffer | undefined,
): Promise<string> {
  const position = await publishByApplication(deps, name, {
    data,
    tags: params.tags,
    skipHistory: params.skip_history,
    idempotencyKey: params.idempotency_key,
    version: params.version,
    versionEpoch: params.version_epoch,
    delta: params.delta,
  });
  const members = [];
  if (position.offset > 0) members.push(`"offset":${position.offset}`);
  if (position.epoch !== '') members.push(`"epoch":${JSON.stringify(position.epoch)}`);
  return `{${members.join(',')}}`;
}
