// A TCP connection that says exactly the bytes it is told, for peers that break the rules.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { deferred } from './deferred.ts';
import type { Scope } from './scope.ts';
import { waitFor, within } from './wait-for.ts';

export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameOptions {
  readonly opcode?: number;
  readonly fin?: boolean;
  readonly masked?: boolean;
  /** What the header claims, when it is to lie. */
  readonly claimedBytes?: number;
}

export interface ServerFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** One frame as a client sends it (RFC 6455 §5.2). */
export function clientFrame(payload: Buffer | string, options: FrameOptions = {}): Buffer {
  const { opcode = Opcode.text, fin = true, masked = true } = options;
  const body = Buffer.from(payload);
  const length = options.claimedBytes ?? body.length;
  const maskBit = masked ? 0x80 : 0;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = (fin ? 0x80 : 0) | opcode;
  if (length < 126) {
    head[1] = maskBit | length;
  } else if (length < 65_536) {
    head[1] = maskBit | 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = maskBit | 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  if (!masked) return Buffer.concat([head, body]);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, body.map((byte, index) => byte ^ (mask[index % 4] ?? 0))]);
}

export class RawSocket {
  readonly socket: Socket;
  #input: Buffer = Buffer.alloc(0);
  readonly #closed = deferred<void>();
  ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => {
      this.#input = Buffer.concat([this.#input, bytes]);
    });
    socket.on('end', () => {
      this.ended = true;
    });
    // A reset is one of the ends that tests expect.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.ended = true;
      this.#closed.resolve();
    });
  }

  static async open(scope: Scope, port: number, allowHalfOpen = false): Promise<RawSocket> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen });
    scope.teardown(() => socket.destroy());
    const raw = new RawSocket(socket);
    await once(socket, 'connect');
    return raw;
  }

  /** Open, and through the upgrade. */
  static async upgraded(scope: Scope, port: number, path = '/connection/websocket'): Promise<RawSocket> {
    const raw = await RawSocket.open(scope, port);
    raw.write(handshake(path));
    const status = await raw.status();
    if (status !== 101) throw new Error(`the upgrade was answered with ${status}`);
    return raw;
  }

  /** Received and not consumed yet. */
  get text(): string {
    return this.#input.toString('latin1');
  }

  write(bytes: Buffer | string): void {
    this.socket.write(bytes);
  }

  /** Reads a response head (no body); undefined when the peer ended without one. */
  async head(deadlineMs?: number): Promise<string | undefined> {
    const end = (): number => this.#input.indexOf('\r\n\r\n');
    await waitFor('a response head', () => end() !== -1 || this.ended, deadlineMs);
    if (end() === -1) return undefined;
    const head = this.#input.subarray(0, end()).toString('latin1');
    this.#input = this.#input.subarray(end() + 4);
    return head;
  }

  /** The same, but only its status. */
  async status(deadlineMs?: number): Promise<number | undefined> {
    const head = await this.head(deadlineMs);
    return head === undefined ? undefined : Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
  }

  /** The next frame of the server; undefined when the connection ended without one. */
  async frame(deadlineMs?: number): Promise<ServerFrame | undefined> {
    await waitFor('a frame', () => this.#frameBytes() !== undefined || this.ended, deadlineMs);
    const bytes = this.#frameBytes();
    if (bytes === undefined) return undefined;
    const { start, end } = bytes;
    const frame = {
      opcode: (this.#input[0] ?? 0) & 0x0f,
      payload: Buffer.from(this.#input.subarray(start, end)),
    };
    this.#input = this.#input.subarray(end);
    return frame;
  }

  /** Skips to the close frame: its code, 1005 without one in it, 1006 when the connection ended without the frame. */
  async closeCode(deadlineMs?: number): Promise<number> {
    for (;;) {
      const frame = await this.frame(deadlineMs);
      if (frame === undefined) return 1006;
      if (frame.opcode === Opcode.close)
        return frame.payload.length < 2 ? 1005 : frame.payload.readUInt16BE(0);
    }
  }

  /** Waits until the connection is gone entirely. */
  closed(deadlineMs?: number): Promise<void> {
    return within('the end of the connection', this.#closed.promise, deadlineMs);
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  #frameBytes(): { start: number; end: number } | undefined {
    const input = this.#input;
    const short = (input[1] ?? 0) & 0x7f;
    const start = short === 127 ? 10 : short === 126 ? 4 : 2;
    if (input.length < start) return undefined;
    const length =
      short === 127 ? Number(input.readBigUInt64BE(2)) : short === 126 ? input.readUInt16BE(2) : short;
    return input.length < start + length ? undefined : { start, end: start + length };
  }
}

export function handshake(path = '/connection/websocket', headers: readonly string[] = []): string {
  return [
    `GET ${path} HTTP/1.1`,
    'Host: localhost',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    'Sec-WebSocket-Version: 13',
    ...headers,
    '',
    '',
  ].join('\r\n');
}
