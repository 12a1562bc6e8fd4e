// Commands that are the application's alone: rpc and send (client protocol §5.7, §5.8).
import type { Connection } from '../connection/connection.ts';
import { CloseCauses } from '../protocol/close-causes.ts';
import { ReplyErrors } from '../protocol/reply-errors.ts';
import { answerOf, subjectOf } from './asking.ts';
import type { CommandDeps } from './command-deps.ts';
import { CommandRefused, ConnectionEnded } from './failure.ts';

export async function rpc(
  deps: CommandDeps,
  connection: Connection,
  command: { readonly id: number; readonly method: string; readonly data: Buffer | undefined },
): Promise<void> {
  const { id, method, data } = command;
  const ask = deps.application.rpc(method);
  if (ask === undefined) throw new CommandRefused(ReplyErrors.notAvailable);
  const answer = await answerOf(ask({ subject: subjectOf(connection), method, data }));
  connection.reply(id, { kind: 'rpc', data: answer });
}

export async function send(
  deps: CommandDeps,
  connection: Connection,
  data: Buffer | undefined,
): Promise<void> {
  const { message } = deps.application;
  if (message === undefined) throw new ConnectionEnded(CloseCauses.notAvailable);
  await answerOf(message(subjectOf(connection), data ?? Buffer.alloc(0)));
}
