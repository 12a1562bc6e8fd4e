// Carries out the commands of all connections of a worker and sees to it that each is answered, whatever happens.
import type { Connection } from '../connection/connection.ts';
import type { ConnectionOwner } from '../connection/surroundings.ts';
import { type CloseCause, CloseCauses } from '../protocol/close-causes.ts';
import type { Command } from '../protocol/commands.ts';
import { type ReplyError, ReplyErrors } from '../protocol/reply-errors.ts';
import { UnavailableError } from '../util/errors.ts';
import { subjectOf } from './asking.ts';
import { rpc, send } from './calls.ts';
import type { CommandDeps } from './command-deps.ts';
import { connect } from './connect.ts';
import { onConnectionExpired, onSubscriptionDeadline } from './expiry.ts';
import { CommandRefused, ConnectionEnded } from './failure.ts';
import { publish } from './publish.ts';
import { history, presence, presenceStats } from './reads.ts';
import { refresh, subRefresh } from './refresh.ts';
import { subscribe, unsubscribe } from './subscribe.ts';

export class CommandDispatcher implements ConnectionOwner {
  readonly #deps: CommandDeps;

  constructor(deps: CommandDeps) {
    this.#deps = deps;
  }

  onCommand(connection: Connection, command: Command): void | Promise<void> {
    if (!this.#isAllowed(connection, command)) return;
    try {
      const done = this.#carryOut(connection, command);
      if (done === undefined) return this.#count(command, 'ok');
      return done.then(
        () => this.#count(command, 'ok'),
        (error: unknown) => this.#fail(connection, command, error),
      );
    } catch (error) {
      return this.#fail(connection, command, error);
    }
  }

  #isAllowed(connection: Connection, command: Command): boolean {
    const permission = this.#deps.commandLimits?.permission(connection, command.kind) ?? 'yes';
    if (permission === 'yes') return true;
    const error =
      permission === 'never'
        ? new ConnectionEnded(CloseCauses.tooManyErrors)
        : new CommandRefused(ReplyErrors.tooManyRequests);
    this.#fail(connection, command, error);
    return false;
  }

  onExpire(connection: Connection): void {
    onConnectionExpired(connection, this.#deps);
  }

  onSubscriptionDeadline(connection: Connection): void {
    onSubscriptionDeadline(connection, this.#deps);
  }

  onClosed(connection: Connection, cause: CloseCause): void {
    const { application, clock, hub, counters, log } = this.#deps;
    const { session, transport } = connection;
    if (session.user !== '') this.#deps.userConnections?.release(session.user, session.client);
    if (hub.remove(connection)) {
      const { code, reason } = cause;
      application.notify({
        kind: 'disconnect',
        timeMs: clock.wallMs(),
        subject: subjectOf(connection),
        code,
        reason,
      });
    }
    counters.closed.cell(cause.name).value += 1;
    if (cause === CloseCauses.slow) counters.slowConsumers += 1;
    if (!log.isLevelEnabled(cause.logLevel)) return;
    log[cause.logLevel](
      {
        client: session.client,
        user: session.user,
        transport: transport.kind,
        cause: cause.name,
        code: cause.code,
        remote: session.remoteAddress,
        lived_ms: this.#deps.clock.wallMs() - session.connectedAtWallMs,
      },
      'connection ended',
    );
  }

  #carryOut(connection: Connection, command: Command): void | Promise<void> {
    const deps = this.#deps;
    switch (command.kind) {
      case 'connect':
        return connect(deps, connection, command.id, command.request);
      case 'subscribe':
        return subscribe(deps, connection, command.id, command.request);
      case 'unsubscribe':
        return unsubscribe(deps, connection, command.id, command.channel);
      case 'publish':
        return publish(deps, connection, command);
      case 'presence':
        return presence(deps, connection, command.id, command.channel);
      case 'presence_stats':
        return presenceStats(deps, connection, command.id, command.channel);
      case 'history':
        return history(deps, connection, command.id, command.request);
      case 'refresh':
        return refresh(deps, connection, command.id, command.token);
      case 'sub_refresh':
        return subRefresh(deps, connection, command);
      case 'rpc':
        return rpc(deps, connection, command);
      case 'send':
        return send(deps, connection, command.data);
      case 'pong':
        return undefined;
    }
  }

  #fail(connection: Connection, command: Command, error: unknown): void {
    if (error instanceof ConnectionEnded) {
      this.#count(command, error.close.name);
      connection.close(error.close);
      return;
    }
    const reply = this.#replyFor(connection, command, error);
    this.#count(command, String(reply.code));
    if (command.kind === 'connect') {
      // A client that only listens understands no reply.
      if (connection.transport.format.unidirectional) {
        connection.close(this.#deps.settings.unidirectionalCause(reply));
        return;
      }
      connection.dispatch({ type: 'refused' });
    }
    // `send` has no id and so no reply: what went wrong with it is in the log.
    if (command.id > 0) connection.replyError(command.id, reply);
  }

  #replyFor(connection: Connection, command: Command, error: unknown): ReplyError {
    if (error instanceof CommandRefused) return error.reply;
    const fields = { client: connection.session.client, command: command.kind, err: error };
    if (error instanceof UnavailableError)
      this.#deps.log.debug(fields, 'command failed: what it needs is away');
    else this.#deps.log.error(fields, 'command failed');
    return ReplyErrors.internal;
  }

  #count(command: Command, result: string): void {
    this.#deps.counters.commands.cell(command.kind, result).value += 1;
  }
}
