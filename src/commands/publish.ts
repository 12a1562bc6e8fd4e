// The publish command (client protocol §5.4, §11).
import type { Connection } from '../connection/connection.ts';
import { isReplyError } from '../hub/namespaces.ts';
import type { ChannelOptions } from '../protocol/channel-options.ts';
import { CloseCauses } from '../protocol/close-causes.ts';
import type { PublicationDraft } from '../protocol/publication.ts';
import type { Result } from '../protocol/replies.ts';
import { ReplyErrors } from '../protocol/reply-errors.ts';
import type { Decision, PublishAnswer, PublishQuestion } from '../hooks/application.ts';
import { isFields } from '../util/fields.ts';
import { answerOf, subjectOf } from './asking.ts';
import type { CommandDeps } from './command-deps.ts';
import { CommandRefused, ConnectionEnded } from './failure.ts';
import { mayPublish } from './permissions.ts';
import { clientInfo } from './subscribing.ts';

interface PublishCommand {
  readonly id: number;
  readonly channel: string;
  readonly data: Buffer | undefined;
  readonly isJson: boolean;
  readonly type: number;
}

/** Where nobody is asked, nothing but the engine is waited for: this is the hottest of all commands. */
export function publish(
  deps: CommandDeps,
  connection: Connection,
  command: PublishCommand,
): void | Promise<void> {
  const { id, channel, data = EMPTY, isJson, type } = command;
  if (channel === '') throw new ConnectionEnded(CloseCauses.badRequest);
  const resolved = deps.namespaces.resolve(channel);
  if (isReplyError(resolved)) throw new CommandRefused(resolved);
  if (type !== 0) throw new CommandRefused(ReplyErrors.notAvailable);
  const { options } = resolved;
  if (!fitsFormat(data, options.publicationDataFormat)) throw new CommandRefused(ReplyErrors.badRequest);
  const ask = deps.application.publish(options.publishProxy);
  if (ask !== undefined) {
    const question = { subject: subjectOf(connection), channel, data };
    return askAndPublish(deps, connection, id, question, options, ask(question));
  }
  const actor = {
    user: connection.session.user,
    isSubscribed: connection.subscriptions.get(channel)?.live ?? false,
    insecure: deps.settings.insecure,
  };
  if (!mayPublish(options, actor)) throw new CommandRefused(ReplyErrors.permissionDenied);
  const published = hand(deps, connection, channel, { data, isJson }, options, undefined);
  if (published instanceof Promise) return published.then(() => connection.reply(id, DONE));
  connection.reply(id, DONE);
}

async function askAndPublish(
  deps: CommandDeps,
  connection: Connection,
  id: number,
  question: PublishQuestion,
  options: ChannelOptions,
  asked: Promise<Decision<PublishAnswer>>,
): Promise<void> {
  const answer = await answerOf(asked);
  if (connection.isClosed) return;
  const payload = { data: answer.data ?? question.data };
  if (!answer.drop) await hand(deps, connection, question.channel, payload, options, answer);
  connection.reply(id, DONE);
}

function hand(
  deps: CommandDeps,
  connection: Connection,
  channel: string,
  payload: Pick<PublicationDraft, 'data' | 'isJson'>,
  options: ChannelOptions,
  answer: PublishAnswer | undefined,
): unknown {
  const { data, isJson } = payload;
  const info = connection.subscriptions.get(channel)?.state.info ?? clientInfo(connection, undefined);
  // The options of the channel are also how it is published to; only an answer or deltas say more.
  if (answer === undefined && !options.deltaPublish)
    return deps.broker.publish(channel, { data, isJson, info }, options);
  return deps.broker.publish(
    channel,
    { data, isJson, info, tags: answer?.tags },
    {
      historySize: answer?.skipHistory === true ? 0 : options.historySize,
      historyTtlMs: options.historyTtlMs,
      historyMetaTtlMs: options.historyMetaTtlMs,
      idempotencyKey: answer?.idempotencyKey,
      version: answer?.version,
      versionEpoch: answer?.versionEpoch,
      delta: options.deltaPublish || answer?.delta === true,
    },
  );
}

const EMPTY = Buffer.alloc(0);
const DONE: Result = { kind: 'publish' };

/** Whether the payload fits `publication_data_format`. */
function fitsFormat(data: Buffer, format: ChannelOptions['publicationDataFormat']): boolean {
  if (format === 'binary') return true;
  if (data.length === 0) return false;
  if (format === '') return true;
  try {
    const value: unknown = JSON.parse(data.toString('utf8'));
    return format === 'json' || isFields(value);
  } catch {
    return false;
  }
}
