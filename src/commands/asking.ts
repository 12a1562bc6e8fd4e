// Puts questions to the application and turns its decisions into what commands understand.
import type { Connection } from '../connection/connection.ts';
import type { Decision, Subject, SubscriptionAnswer } from '../hooks/application.ts';
import { CommandRefused, ConnectionEnded } from './failure.ts';
import type { Grant } from './subscribing.ts';
import { expiryOf } from './ttl.ts';

export function subjectOf(connection: Connection): Subject {
  const { session, transport } = connection;
  return {
    client: session.client,
    user: session.user,
    transport: transport.kind,
    protocol: transport.format.encoding,
    meta: session.meta,
    headers: session.headers,
    emulatedHeaders: session.emulatedHeaders,
  };
}

/** The answer of a yes; otherwise throws what ends the command. */
export async function answerOf<Answer>(asked: Promise<Decision<Answer>>): Promise<Answer> {
  const decision = await asked;
  switch (decision.kind) {
    case 'yes':
      return decision.answer;
    case 'error':
      throw new CommandRefused(decision.error);
    case 'disconnect':
      throw new ConnectionEnded(decision.cause);
  }
}

export function grantOf(answer: SubscriptionAnswer, clientSideRefresh: boolean): Grant {
  const expireAtWallMs = expiryOf(answer.expireAtMs);
  return {
    info: answer.info,
    data: answer.data,
    expireAtWallMs,
    clientSideRefresh: clientSideRefresh && expireAtWallMs !== Infinity,
    override: answer.override,
  };
}
