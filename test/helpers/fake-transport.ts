// A transport that ends in a test: it keeps what is written, and is as slow as it is told to be.
import type { Connection } from '../../src/connection/connection.ts';
import type { Transport } from '../../src/connection/transport.ts';
import type { CloseCause } from '../../src/protocol/close-causes.ts';
import { type WireFormat, WireFormats } from '../../src/protocol/wire-format.ts';
import { isJson, type Json, jsonMessages, takeFrames } from './server-frames.ts';

export class FakeTransport implements Transport {
  readonly kind = 'websocket';
  readonly format: WireFormat;
  /** Each call of `write`. */
  readonly writes: Buffer[] = [];
  /** JSON messages of each frame. */
  readonly frames: (readonly Json[])[] = [];
  pendingBytes = 0;
  /** Takes what is written, but asks for a pause each time. */
  slow = false;
  paused = false;
  pauses = 0;
  closedWith: CloseCause | undefined;
  closes = 0;
  destroyed = false;
  /** What is to happen with each message. */
  onMessage: (message: Json) => void = () => undefined;

  constructor(format: WireFormat = WireFormats.websocketJson) {
    this.format = format;
  }

  /** All messages in order. */
  get messages(): readonly Json[] {
    return this.frames.flat();
  }

  get pings(): number {
    return this.messages.filter((message) => Object.keys(message).length === 0).length;
  }

  /** Contents of the pushes so far. */
  get pushes(): readonly Json[] {
    return this.messages.map((message) => message['push']).filter(isJson);
  }

  write(bytes: Buffer): boolean {
    if (this.closedWith !== undefined) throw new Error('written to after the close');
    this.writes.push(bytes);
    if (this.format.encoding === 'json') {
      for (const { payload } of takeFrames(bytes).frames) {
        const messages = jsonMessages(payload);
        this.frames.push(messages);
        for (const message of messages) this.onMessage(message);
      }
    }
    if (!this.slow) return true;
    this.pendingBytes += bytes.length;
    return false;
  }

  /** The peer has read everything. */
  drain(connection: Connection): void {
    this.pendingBytes = 0;
    connection.onTransportDrain();
  }

  pauseReading(): void {
    this.paused = true;
    this.pauses += 1;
  }

  resumeReading(): void {
    this.paused = false;
  }

  close(cause: CloseCause): void {
    this.closes += 1;
    this.closedWith ??= cause;
  }

  destroy(): void {
    this.destroyed = true;
  }
}

/** One that answers pings in its own way. */
export class FakeNativeTransport extends FakeTransport {
  nativePings = 0;

  nativePing(): void {
    this.nativePings += 1;
  }
}
