// One client of a storm: through TLS, again and again with the back-off of the official SDKs, until its server has answered
// everything that it asked for.
import { connect, type SecureContext, type TLSSocket } from 'node:tls';
import type { Dialect } from './dialects.ts';
import { clientFrame, FrameReader, Opcode, textFrame } from './frames.ts';

export interface StormShared {
  readonly port: number;
  /** One for all, as made anew for each it would cost more than the handshake. */
  readonly secureContext: SecureContext;
  readonly localAddress: string;
  readonly dialect: Dialect;
  /** One for all: a browser resumes its session, too. */
  session: Buffer | undefined;
  /** Why attempts failed, and how often. */
  readonly failures: Map<string, number>;
}

/** Client protocol §7: full jitter, 0.5 s at least and 20 s at most. */
const MIN_DELAY_MS = 500;
const MAX_DELAY_MS = 20_000;
/** Until the handshake is answered: no SDK limits it, and browsers only after minutes. */
const OPENING_MS = 60_000;
/** Until a command is, in the official SDKs. */
const REPLY_MS = 5000;

function reconnectDelayMs(attempt: number, roll: number): number {
  const jitterMs = Math.floor(roll * Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** Math.min(attempt, 31)));
  return Math.min(MAX_DELAY_MS, MIN_DELAY_MS + jitterMs);
}

export class StormClient {
  readonly #shared: StormShared;
  readonly #channel: string;
  #socket: TLSSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #head: string | undefined = '';
  #reader = new FrameReader(this);
  #acksMissing = 0;
  #attempt = 0;
  #onReady: () => void = () => undefined;

  constructor(shared: StormShared, channel: string) {
    this.#shared = shared;
    this.#channel = channel;
  }

  /** Resolves when it is in; comes again by itself until then, and whenever it is cut off. */
  open(): Promise<void> {
    return new Promise((resolve) => {
      this.#onReady = resolve;
      this.#try();
    });
  }

  /** The network is gone: no word to anybody. Resolves when it is back. */
  cut(): Promise<void> {
    this.#socket?.destroy();
    return new Promise((resolve) => {
      this.#onReady = resolve;
      this.#attempt = 0;
      this.#retry();
    });
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  onFrame(opcode: number, bytes: Buffer, start: number, end: number): void {
    if (opcode === Opcode.ping) this.#socket?.write(clientFrame(Opcode.pong, bytes.subarray(start, end)));
    else if (opcode === Opcode.close) this.#fail(`closed ${end - start < 2 ? 0 : bytes.readUInt16BE(start)}`);
    else if (opcode === Opcode.text)
      for (const message of bytes.toString('latin1', start, end).split('\n')) this.#onMessage(message);
  }

  onMalformed(what: string): void {
    this.#fail(what);
  }

  #try(): void {
    const { port, secureContext, localAddress, session, dialect } = this.#shared;
    const options = {
      host: '127.0.0.1',
      servername: 'localhost',
      port,
      localAddress,
      secureContext,
      ...(session === undefined ? {} : { session }),
    };
    const socket = connect(options);
    this.#socket = socket;
    this.#head = '';
    this.#reader = new FrameReader(this);
    this.#acksMissing = dialect.openAcks(1);
    this.#waitFor('handshake', OPENING_MS);
    socket.setNoDelay(true);
    socket.on('secureConnect', () => {
      socket.write(
        `GET ${dialect.path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aG9sZGZhc3QtYmVuY2gtMQ==\r\n\r\n',
      );
    });
    socket.on('session', (ticket: Buffer) => {
      this.#shared.session ??= ticket;
    });
    socket.on('data', (chunk: Buffer) => {
      if (socket === this.#socket) this.#onData(chunk);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (socket === this.#socket) this.#fail(error.code ?? error.message);
    });
    socket.on('close', () => {
      if (socket === this.#socket) this.#fail('closed without a word');
    });
  }

  #onData(chunk: Buffer): void {
    if (this.#head === undefined) {
      this.#reader.push(chunk);
      return;
    }
    this.#head += chunk.toString('latin1');
    const end = this.#head.indexOf('\r\n\r\n');
    if (end === -1) return;
    const head = this.#head;
    this.#head = undefined;
    if (!head.startsWith('HTTP/1.1 101')) {
      this.#fail(`HTTP ${head.slice(9, 12)}`);
      return;
    }
    this.#waitFor('reply', REPLY_MS);
    for (const text of this.#shared.dialect.open([this.#channel])) this.#socket?.write(textFrame(text));
    if (head.length > end + 4) this.#reader.push(Buffer.from(head.slice(end + 4), 'latin1'));
  }

  #onMessage(message: string): void {
    if (message === '') return;
    const { dialect } = this.#shared;
    const { error, reply, connected, acks = 0 } = dialect.understand(message);
    if (error !== undefined) {
      this.#fail(`unexpected ${error.slice(0, 60)}`);
      return;
    }
    if (reply !== undefined) this.#socket?.write(textFrame(reply));
    if (connected === true)
      for (const text of dialect.afterConnect([this.#channel])) this.#socket?.write(textFrame(text));
    if (acks === 0) return;
    this.#acksMissing -= acks;
    if (this.#acksMissing > 0) {
      this.#waitFor('reply', REPLY_MS);
      return;
    }
    clearTimeout(this.#timer);
    this.#attempt = 0;
    this.#onReady();
  }

  #waitFor(what: string, limitMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fail(`no ${what} in time`), limitMs);
  }

  #fail(why: string): void {
    const { failures } = this.#shared;
    failures.set(why, (failures.get(why) ?? 0) + 1);
    this.#socket?.destroy();
    this.#retry();
  }

  #retry(): void {
    this.#socket = undefined;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#try(), reconnectDelayMs(this.#attempt++, Math.random()));
  }
}
