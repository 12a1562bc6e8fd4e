// One client of the load generator on a plain socket: upgrade, session, subscriptions, and a path for publications that
// allocates and parses nothing.
import { type Socket, connect } from 'node:net';
import { type Dialect, FIRST_PUBLISH_ID } from './dialects.ts';
import { FrameReader, Opcode, clientFrame, textFrame } from './frames.ts';
import type { Histogram } from './histogram.ts';
import { Ledger, type Tally } from './ledger.ts';
import { monotonicUs } from './monotonic.ts';
import { MARK_BYTES, findMark, keyAt, sequenceAt, timeUsAt } from './payload.ts';

const NEWLINE = 0x0a;
const EMPTY = Buffer.alloc(0);

export interface Target {
  readonly host: string;
  readonly port: number;
}

export interface ChannelRef {
  readonly number: number;
  readonly name: string;
}

export interface ConnectionDeps {
  readonly target: Target;
  readonly localAddress: string;
  readonly dialect: Dialect;
  /** Of the upgrade. */
  readonly path: string;
  readonly tally: Tally;
  readonly latencies: Histogram;
  /** Shared by all connections of the process: a read is consumed before the next one begins. */
  readonly readBuffer: Uint8Array;
  /** Once per read that held publications. */
  readonly onDelivered: (nowUs: number) => void;
  /** The connection ended, or the server said what it never should: fatal for the run. */
  readonly onFault: (what: string) => void;
}

export class LoadConnection {
  readonly #deps: ConnectionDeps;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #ledger: Ledger;
  readonly #channelNumbers: number[];
  readonly #opening: readonly string[];
  #upgrade: Buffer | undefined = EMPTY;
  #acksMissing: number;
  #onReady: () => void;
  #closed = false;
  #nowUs = 0;
  #deliveredInRead = false;
  #nextId = FIRST_PUBLISH_ID;

  constructor(deps: ConnectionDeps, channels: readonly ChannelRef[], onReady: () => void) {
    this.#deps = deps;
    this.#opening = channels.map((channel) => channel.name);
    this.#channelNumbers = channels.map((channel) => channel.number);
    this.#ledger = new Ledger(deps.tally, this.#channelNumbers);
    this.#acksMissing = deps.dialect.openAcks(channels.length);
    this.#onReady = onReady;
    this.#reader = new FrameReader(this);
    this.#socket = connect({
      host: deps.target.host,
      port: deps.target.port,
      localAddress: deps.localAddress,
      noDelay: true,
      onread: { buffer: deps.readBuffer, callback: this.#onRead },
    });
    this.#socket.on('connect', this.#onConnect);
    this.#socket.on('error', this.#onError);
    this.#socket.on('close', this.#onClose);
  }

  get ledger(): Ledger {
    return this.#ledger;
  }

  get stage(): string {
    if (this.#closed) return 'closed';
    if (this.#socket.connecting) return 'connecting';
    if (this.#upgrade !== undefined) return 'without an answer to their upgrade';
    return this.#acksMissing > 0 ? 'without an answer to a command' : 'ready';
  }

  get channelNumbers(): readonly number[] {
    return this.#channelNumbers;
  }

  subscribe(channels: readonly ChannelRef[], onReady: () => void): void {
    this.#acksMissing = channels.length;
    this.#onReady = onReady;
    this.#channelNumbers.push(...channels.map((channel) => channel.number));
    const firstId = this.#nextId;
    this.#nextId += channels.length;
    const names = channels.map((channel) => channel.name);
    for (const frame of this.#deps.dialect.subscribe(names, firstId)) this.#send(frame);
  }

  publish(channel: string, data: string): void {
    this.#send(this.#deps.dialect.publish(channel, data, this.#nextId++));
  }

  /** Writes between both leave in one segment. */
  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  /** Ends by a reset, which leaves no port in TIME_WAIT. */
  close(): void {
    this.#closed = true;
    this.#socket.resetAndDestroy();
  }

  onFrame(opcode: number, bytes: Buffer, start: number, end: number): void {
    if (opcode === Opcode.text) this.#onText(bytes, start, end);
    else if (opcode === Opcode.binary) this.#onBinary(bytes, start, end);
    else if (opcode === Opcode.ping) {
      this.#socket.write(clientFrame(Opcode.pong, bytes.subarray(start, end)));
    } else if (opcode === Opcode.close) {
      this.#fault(`closed by the server: ${closeText(bytes, start, end)}`);
    }
  }

  onMalformed(what: string): void {
    this.#fault(what);
  }

  // Messages of one frame are separated by line breaks.
  #onText(bytes: Buffer, start: number, end: number): void {
    let from = start;
    while (from < end) {
      const mark = findMark(bytes, from, end);
      let to = mark === -1 ? from : mark + MARK_BYTES;
      while (to < end && bytes[to] !== NEWLINE) to++;
      if (mark === -1 || hasNewline(bytes, from, mark)) {
        // A message without a mark may stand before one that has it.
        to = from;
        while (to < end && bytes[to] !== NEWLINE) to++;
        this.#onMessage(bytes.toString('latin1', from, to));
      } else {
        this.#onPublication(bytes, mark);
      }
      from = to + 1;
    }
  }

  // Messages of one frame have their length before them, a varint.
  #onBinary(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      let length = 0;
      let shift = 0;
      let byte = 0x80;
      while (byte > 0x7f && at < end) {
        byte = bytes[at++] ?? 0;
        length += (byte & 0x7f) << shift;
        shift += 7;
      }
      const to = at + length;
      if (to > end) {
        this.#fault('a message reaches beyond its frame');
        return;
      }
      const mark = findMark(bytes, at, to);
      if (mark === -1) this.#onMessage(bytes.toString('latin1', at, to));
      else this.#onPublication(bytes, mark);
      at = to;
    }
  }

  #onPublication(bytes: Buffer, mark: number): void {
    this.#deliveredInRead = true;
    this.#ledger.record(keyAt(bytes, mark), sequenceAt(bytes, mark));
    this.#deps.latencies.record(this.#nowUs - timeUsAt(bytes, mark));
  }

  #onMessage(message: string): void {
    const { dialect } = this.#deps;
    if (message === '' && !dialect.binary) return;
    const meaning = dialect.understand(message);
    if (meaning.error !== undefined) {
      this.#fault(`unexpected message: ${meaning.error.slice(0, 200)}`);
      return;
    }
    if (meaning.reply !== undefined) this.#send(meaning.reply);
    if (meaning.connected === true)
      for (const frame of dialect.afterConnect(this.#opening)) this.#send(frame);
    if (meaning.acks !== undefined) this.#acknowledged(meaning.acks);
  }

  #acknowledged(count: number): void {
    this.#acksMissing -= count;
    if (this.#acksMissing === 0) this.#onReady();
  }

  readonly #onConnect = (): void => {
    const { target, path } = this.#deps;
    this.#socket.write(
      `GET ${path} HTTP/1.1\r\nHost: ${target.host}:${target.port}\r\nUpgrade: websocket\r\n` +
        'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aG9sZGZhc3QtYmVuY2gtMQ==\r\n\r\n',
    );
  };

  readonly #onRead = (bytesRead: number, buffer: Uint8Array): boolean => {
    if (this.#closed) return true;
    const chunk = Buffer.from(buffer.buffer, buffer.byteOffset, bytesRead);
    if (this.#upgrade !== undefined) {
      this.#onUpgradeBytes(this.#upgrade, chunk);
      return true;
    }
    this.#onBytes(chunk);
    return true;
  };

  #onBytes(chunk: Buffer): void {
    this.#nowUs = monotonicUs();
    this.#deliveredInRead = false;
    this.#reader.push(chunk);
    if (this.#deliveredInRead) this.#deps.onDelivered(this.#nowUs);
  }

  #onUpgradeBytes(before: Buffer, chunk: Buffer): void {
    const bytes = Buffer.concat([before, chunk]);
    const end = bytes.indexOf('\r\n\r\n');
    if (end === -1) {
      this.#upgrade = bytes;
      return;
    }
    this.#upgrade = undefined;
    const head = bytes.toString('latin1', 0, end);
    if (!head.startsWith('HTTP/1.1 101')) {
      this.#fault(`no upgrade: ${head.split('\r\n')[0] ?? ''}`);
      return;
    }
    for (const frame of this.#deps.dialect.open(this.#opening)) this.#send(frame);
    if (this.#acksMissing === 0) this.#onReady();
    if (bytes.length > end + 4) this.#onBytes(bytes.subarray(end + 4));
  }

  readonly #onError = (error: Error): void => {
    this.#fault(error.message);
  };

  readonly #onClose = (): void => {
    this.#fault('closed by the server');
  };

  #fault(what: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    this.#deps.onFault(what);
  }

  #send(text: string): void {
    const { binary } = this.#deps.dialect;
    this.#socket.write(binary ? clientFrame(Opcode.binary, Buffer.from(text, 'latin1')) : textFrame(text));
  }
}

function hasNewline(bytes: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] === NEWLINE) return true;
  return false;
}

function closeText(bytes: Buffer, start: number, end: number): string {
  if (end - start < 2) return 'no code';
  return `${bytes.readUInt16BE(start)} ${bytes.toString('utf8', start + 2, end)}`;
}
