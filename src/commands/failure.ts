// How a command ends other than well: with an error reply, or with the connection.
import type { CloseCause } from '../protocol/close-causes.ts';
import type { ReplyError } from '../protocol/reply-errors.ts';

/** The command is answered with this error. */
export class CommandRefused extends Error {
  readonly reply: ReplyError;
  constructor(reply: ReplyError) {
    super(reply.message);
    this.reply = reply;
  }
}

/** The command ends its connection. */
export class ConnectionEnded extends Error {
  readonly close: CloseCause;
  constructor(close: CloseCause) {
    super(close.reason);
    this.close = close;
  }
}
