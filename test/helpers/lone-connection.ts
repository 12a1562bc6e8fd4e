// Connections without a gateway around them: fake transport, fake clock, and an owner that does what the test says.
import { Connection } from '../../src/connection/connection.ts';
import type { ConnectionShared } from '../../src/connection/surroundings.ts';
import { Flusher } from '../../src/connection/flusher.ts';
import type { Session } from '../../src/connection/session.ts';
import type { CloseCause } from '../../src/protocol/close-causes.ts';
import type { Command } from '../../src/protocol/commands.ts';
import { jsonCodec } from '../../src/protocol/json-codec.ts';
import { protobufCodec } from '../../src/protocol/protobuf-codec.ts';
import { DeadlineWheel } from '../../src/util/deadline-wheel.ts';
import { FakeClock, passTime } from './fake-clock.ts';
import { FakeTransport } from './fake-transport.ts';
import { session } from './sessions.ts';

export class LoneConnections {
  readonly clock = new FakeClock();
  readonly wheel = new DeadlineWheel({ clock: this.clock });
  readonly flusher: Flusher;
  readonly sums = { messagesOut: 0, bytesOut: 0, queuedBytes: 0 };
  readonly dropped = { value: 0 };
  /** Commands that were carried out, in order. */
  readonly commands: Command[] = [];
  readonly ends: { readonly connection: Connection; readonly cause: CloseCause }[] = [];
  expired = 0;
  subscriptionDeadlines = 0;
  /** How commands are carried out; by default connect is accepted and all else answered at once. */
  handler: (connection: Connection, command: Command) => void | Promise<void>;
  readonly shared: ConnectionShared;

  constructor(over: Partial<ConnectionShared> = {}) {
    this.flusher = over.flusher ?? new Flusher();
    this.handler = (connection, command) => this.answer(connection, command);
    this.shared = {
      owner: {
        onCommand: (connection, command) => {
          this.commands.push(command);
          return this.handler(connection, command);
        },
        onExpire: () => {
          this.expired += 1;
        },
        onSubscriptionDeadline: () => {
          this.subscriptionDeadlines += 1;
        },
        onClosed: (connection, cause) => this.ends.push({ connection, cause }),
      },
      clock: this.clock,
      wheel: this.wheel,
      flusher: this.flusher,
      outboxLimits: { maxBytes: 10_000, maxFrames: 100 },
      outboxCounters: { sums: this.sums, dropped: this.dropped },
      staleCloseDelayMs: 10_000,
      timing: { pingIntervalMs: 25_000, pongTimeoutMs: 8_000 },
      inboundBytes: undefined,
      concurrency: 1,
      codecs: { json: jsonCodec, protobuf: protobufCodec },
      ...over,
    };
  }

  open(transport = new FakeTransport(), over: Partial<Session> = {}): Connection {
    return new Connection(transport, session({ client: 'c', ...over }), this.shared);
  }

  /** Opened, and through the connect command. */
  live(transport = new FakeTransport(), over: Partial<Session> = {}): Connection {
    const connection = this.open(transport, over);
    send(connection, { id: 1, connect: {} });
    this.flush();
    return connection;
  }

  /** Ends the event-loop turn for the outboxes. */
  flush(): void {
    this.flusher.flush(Infinity);
  }

  pass(ms: number): void {
    passTime(this.clock, this.wheel, ms);
    this.flush();
  }

  answer(connection: Connection, command: Command): void {
    if (command.kind === 'connect') {
      connection.dispatch({
        type: 'accepted',
        nowMs: this.wheel.nowMs,
        expireAtMs: Infinity,
        jitter: 1,
      });
      const result = { client: connection.session.client, version: 'v' };
      connection.reply(command.id, { kind: 'connect', result });
    } else if (command.id > 0) connection.reply(command.id, { kind: 'publish' });
  }
}

/** One frame with these commands. */
export function send(connection: Connection, ...commands: readonly object[]): void {
  sendText(connection, commands.map((command) => JSON.stringify(command)).join('\n'));
}

export function sendText(connection: Connection, text: string): void {
  connection.onFrame(Buffer.from(text));
}

/** What went out to a connection made here. */
export function wire(connection: Connection): FakeTransport {
  const { transport } = connection;
  if (!(transport instanceof FakeTransport)) throw new Error('not a fake transport');
  return transport;
}
