// What a publish by the application is, whichever way it comes: by the server API or from its module.
import type { Broker } from '../engine/broker.ts';
import type { Namespaces } from '../hub/namespaces.ts';
import type { StreamPosition } from '../protocol/publication.ts';
import { UnavailableError } from '../util/errors.ts';
import { optionsOf } from './channel-options.ts';
import { checkedData } from './payload.ts';

export interface ApplicationPublishDeps {
  readonly broker: Pick<Broker, 'publish'>;
  readonly namespaces: Pick<Namespaces, 'resolve'>;
  /** Too much waits already: nothing is taken until it has gone down. */
  readonly refusesPublications: () => boolean;
}

export interface ApplicationPublication {
  readonly data: Buffer | undefined;
  readonly tags: Readonly<Record<string, string>> | undefined;
  readonly skipHistory: boolean;
  /** Empty and undefined are none. */
  readonly idempotencyKey: string | undefined;
  readonly version: number | undefined;
  readonly versionEpoch: string | undefined;
  readonly delta: boolean;
}

/** How long a repeated `idempotency_key` returns the first result. */
const IDEMPOTENCY_TTL_MS = 300_000;

/** Rejects with ApiFailure when the channel or the data is wrong, with UnavailableError when it may succeed later. */
export async function publishByApplication(
  deps: ApplicationPublishDeps,
  channel: string,
  publication: ApplicationPublication,
): Promise<StreamPosition> {
  const options = optionsOf(deps.namespaces, channel);
  if (deps.refusesPublications()) throw new UnavailableError('memory runs short');
  const { position } = await deps.broker.publish(
    channel,
    { data: checkedData(publication.data, options.publicationDataFormat), tags: publication.tags },
    {
      acknowledged: true,
      historySize: publication.skipHistory ? 0 : options.historySize,
      historyTtlMs: options.historyTtlMs,
      historyMetaTtlMs: options.historyMetaTtlMs,
      idempotencyKey: publication.idempotencyKey === '' ? undefined : publication.idempotencyKey,
      idempotencyTtlMs: IDEMPOTENCY_TTL_MS,
      version: publication.version,
      versionEpoch: publication.versionEpoch,
      delta: publication.delta || options.deltaPublish,
    },
  );
  return position;
}
