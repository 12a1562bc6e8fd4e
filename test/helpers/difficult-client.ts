// A client that does everything that is allowed and awkward: frames in pieces with pauses between, messages in fragments
// with pings between them, large ones, reading by fits and starts. It checks each byte that comes back.
import { once } from 'node:events';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { clientFrame, Opcode } from './raw-socket.ts';
import { takeFrames } from './server-frames.ts';
import { waitFor } from './wait-for.ts';

export class DifficultClient {
  /** What should not have happened. */
  readonly faults: string[] = [];
  readonly socket: Socket;
  readonly #channel: string;
  readonly #random: () => number;
  #read: Buffer = Buffer.alloc(0);
  #upgraded = false;
  #sentId = 0;
  #repliedId = 0;
  #publishedN = 0;
  #receivedN = 0;
  #pingsSent = 0;
  #pongs = 0;
  #closed = false;
  /** In the middle of a frame, nothing else may be written. */
  #isWriting = false;
  #owedPongs = 0;

  constructor(to: NetConnectOpts, channel: string, random: () => number) {
    this.#channel = channel;
    this.#random = random;
    this.socket = connect(to);
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.#closed = true;
    });
    this.socket.on('data', (chunk: Buffer) => this.#onData(chunk));
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  get published(): number {
    return this.#publishedN;
  }

  async open(): Promise<this> {
    await once(this.socket, 'connect');
    this.socket.write(
      'GET /connection/websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    await this.#until('the upgrade', () => this.#upgraded);
    await this.#command({ connect: {} });
    await this.#command({ subscribe: { channel: this.#channel } });
    await this.#until('the subscription', () => this.#repliedId === 2);
    return this;
  }

  /** Publishes and pings until told to stop. */
  async torment(isOver: () => boolean): Promise<void> {
    while (!isOver() && !this.#closed) {
      this.#publishedN += 1;
      const filler = 'x'.repeat(this.#random() < 0.1 ? 20_000 : Math.floor(this.#random() * 300));
      await this.#command({ publish: { channel: this.#channel, data: { n: this.#publishedN, filler } } });
      if (this.#random() < 0.1) {
        this.socket.pause();
        await delay(this.#random() * 200);
        this.socket.resume();
      }
      await delay(this.#random() * 30);
    }
  }

  /** Waits for everything that is owed. */
  async settled(): Promise<void> {
    await waitFor(
      'what is owed',
      () =>
        this.#closed ||
        (this.#repliedId === this.#sentId &&
          this.#receivedN === this.#publishedN &&
          this.#pongs === this.#pingsSent),
    ).catch(() => undefined);
    if (this.#closed) this.faults.push('closed');
    if (this.#repliedId !== this.#sentId) this.faults.push(`reply ${this.#repliedId} of ${this.#sentId}`);
    if (this.#receivedN !== this.#publishedN) {
      this.faults.push(`publication ${this.#receivedN} of ${this.#publishedN}`);
    }
    if (this.#pongs !== this.#pingsSent) this.faults.push(`pong ${this.#pongs} of ${this.#pingsSent}`);
  }

  /** Not for one that is gone. */
  #until(what: string, isSo: () => boolean): Promise<boolean> {
    return waitFor(what, () => {
      if (this.#closed) throw new Error(`closed, before ${what}`);
      return isSo();
    });
  }

  async #command(command: object): Promise<void> {
    this.#isWriting = true;
    await this.#write(command);
    this.#isWriting = false;
    for (; this.#owedPongs > 0; this.#owedPongs -= 1) this.socket.write(clientFrame('{}'));
  }

  async #write(command: object): Promise<void> {
    this.#sentId += 1;
    const payload = Buffer.from(JSON.stringify({ id: this.#sentId, ...command }));
    const roll = this.#random();
    const frames: Buffer[] = [];
    if (roll < 0.3 && payload.length > 3) {
      const [first, second] = [Math.floor(payload.length / 3), Math.floor((payload.length * 2) / 3)];
      frames.push(clientFrame(payload.subarray(0, first), { opcode: Opcode.text, fin: false }));
      frames.push(this.#ping());
      frames.push(clientFrame(payload.subarray(first, second), { opcode: Opcode.continuation, fin: false }));
      frames.push(clientFrame(payload.subarray(second), { opcode: Opcode.continuation, fin: true }));
    } else frames.push(clientFrame(payload, { opcode: Opcode.text, fin: true }));
    const bytes = Buffer.concat(frames);
    if (this.#random() < 0.3) {
      this.socket.write(bytes);
      return;
    }
    // Often within the header.
    const cuts = [1 + Math.floor(this.#random() * 14), Math.floor(this.#random() * bytes.length)].toSorted(
      (a, b) => a - b,
    );
    let at = 0;
    for (const cut of [...cuts, bytes.length]) {
      if (cut <= at) continue;
      this.socket.write(bytes.subarray(at, cut));
      at = cut;
      await delay(this.#random() * 60);
    }
  }

  #ping(): Buffer {
    this.#pingsSent += 1;
    return clientFrame(`ping-${this.#pingsSent}`, { opcode: Opcode.ping });
  }

  #onData(chunk: Buffer): void {
    this.#read = Buffer.concat([this.#read, chunk]);
    if (!this.#upgraded) {
      const end = this.#read.indexOf('\r\n\r\n');
      if (end === -1) return;
      this.#upgraded = true;
      this.#read = this.#read.subarray(end + 4);
    }
    const { frames, rest } = takeFrames(this.#read);
    this.#read = rest;
    for (const { opcode, payload } of frames) this.#onFrame(opcode, payload.toString());
  }

  #onFrame(opcode: number, payload: string): void {
    if (opcode === Opcode.pong) {
      this.#pongs += 1;
      if (payload !== `ping-${this.#pongs}`) this.faults.push(`pong ${this.#pongs} is ${payload}`);
      return;
    }
    if (opcode !== Opcode.text) {
      this.faults.push(`frame of type ${opcode}`);
      return;
    }
    for (const line of payload.split('\n')) this.#onMessage(line);
  }

  #onMessage(line: string): void {
    const message: unknown = JSON.parse(line);
    if (typeof message !== 'object' || message === null) return;
    if (Object.keys(message).length === 0) {
      if (this.#isWriting) this.#owedPongs += 1;
      else this.socket.write(clientFrame('{}'));
      return;
    }
    if ('error' in message) this.faults.push(line.slice(0, 200));
    if ('id' in message) {
      if (message.id !== this.#repliedId + 1)
        this.faults.push(`reply ${String(message.id)} after ${this.#repliedId}`);
      this.#repliedId = Number(message.id);
      return;
    }
    const n = /"n":(\d+)/.exec(line)?.[1];
    if (n === undefined) {
      this.faults.push(line.slice(0, 200));
      return;
    }
    if (Number(n) !== this.#receivedN + 1) this.faults.push(`publication ${n} after ${this.#receivedN}`);
    this.#receivedN = Number(n);
  }
}
