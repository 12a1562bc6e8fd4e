// The engine's end of the link to one worker: frames in, frames out in one write a turn, and a bound on what waits.
import type { Socket } from 'node:net';
import { asError } from '../../util/errors.ts';
import type { HandleReader, ReadListener } from '../../util/native-handle.ts';
import { FrameDecoder } from './frame-decoder.ts';
import { FrameReader } from '../frame-reader.ts';
import { FrameWriter } from '../frame-writer.ts';
import type { InterestedLink } from './interest.ts';
import { FrameType } from './wire.ts';

/** With so much waiting for the worker no further request of it is read, so that answers cannot pile up. */
const PAUSE_ABOVE_BYTES = 8 * 1024 * 1024;

export interface ServerLinkDeps {
  readonly socket: Socket;
  readonly reader: HandleReader;
  /** What may wait for a worker that does not read; beyond it the link is cut. */
  readonly maxQueuedBytes: number;
  /** Throws when the frame breaks the rules: the link is cut. */
  readonly onFrame: (link: ServerLink, frame: FrameReader) => void;
  /** Called once, with the reason when the engine cut the link. */
  readonly onEnd: (link: ServerLink, cause: Error | undefined) => void;
  /** Something waits: `flush` is to be called at the end of the turn. */
  readonly onWaiting: (link: ServerLink) => void;
}

export class ServerLink implements InterestedLink, ReadListener {
  readonly channels = new Set<string>();
  wantsOccupancy = false;
  /** Empty until the worker has said hello. */
  node = '';
  readonly #deps: ServerLinkDeps;
  readonly #socket: Socket;
  readonly #writer = new FrameWriter();
  readonly #frame = new FrameReader();
  readonly #decoder = new FrameDecoder(this.#frame);
  #waiting = false;
  #paused = false;
  #cause: Error | undefined;

  constructor(deps: ServerLinkDeps) {
    this.#deps = deps;
    this.#socket = deps.socket;
    this.#socket
      .on('data', this.#onData)
      .on('drain', () => {
        this.#read();
      })
      .on('end', () => {
        this.#socket.destroy();
      })
      // Broken or ended, the link is over: 'close' follows.
      .on('error', () => undefined)
      .once('close', () => {
        this.#socket.removeAllListeners();
        deps.onEnd(this, this.#cause);
      });
    deps.reader.attach(this.#socket, this);
  }

  onRead(bytes: Buffer, count: number): number {
    // Histories keep views of it, and nothing else of the process with them.
    const chunk = Buffer.allocUnsafeSlow(count);
    bytes.copy(chunk, 0, 0, count);
    this.#onData(chunk);
    return count;
  }

  /** Encoded and not yet taken by the kernel. */
  get queuedBytes(): number {
    return this.#writer.pendingBytes + this.#socket.writableLength;
  }

  begin(type: number, id: number): FrameWriter {
    return this.#writer.begin(type, id);
  }

  /** Completes the frame that was begun. */
  end(): void {
    this.#writer.end();
    this.#written();
  }

  /** Sends a frame as it is. */
  forward(frame: FrameReader): void {
    this.#writer.rawPart(frame.buffer, frame.start, frame.end);
    this.#written();
  }

  /** Nothing when no answer is wanted. */
  answer(id: number): void {
    if (id === 0) return;
    this.begin(FrameType.answer, id);
    this.end();
  }

  fail(id: number, message: string): void {
    this.begin(FrameType.failure, id).string(message);
    this.end();
  }

  subscribed(requestId: number, grant: number): void {
    this.begin(FrameType.answer, requestId).u32(grant);
    this.end();
  }

  /** This link is the one to tell the application. */
  occupancy(channel: string, isOccupied: boolean): void {
    this.begin(FrameType.occupancy, 0)
      .string(channel)
      .u8(isOccupied ? 1 : 0);
    this.end();
  }

  offer(channel: string): void {
    this.begin(FrameType.offer, 0).string(channel);
    this.end();
  }

  share(channel: string, grant: number): void {
    this.begin(FrameType.share, 0).string(channel).u32(grant);
    this.end();
  }

  pause(): void {
    this.#say(FrameType.pause);
  }

  resume(): void {
    this.#say(FrameType.resume);
  }

  moved(): void {
    this.#say(FrameType.moved);
  }

  flush(): void {
    this.#waiting = false;
    const segments = this.#writer.take();
    if (this.#socket.destroyed) return;
    if (segments.length > 1) this.#socket.cork();
    for (const segment of segments) this.#socket.write(segment);
    if (segments.length > 1) this.#socket.uncork();
  }

  /** Ends the link at once; `onEnd` follows. */
  cut(cause?: Error): void {
    this.#cause ??= cause;
    this.#socket.destroy();
  }

  #say(type: number): void {
    this.begin(type, 0);
    this.end();
  }

  #written(): void {
    if (this.#socket.destroyed) {
      this.#writer.take();
      return;
    }
    if (this.queuedBytes > this.#deps.maxQueuedBytes) {
      this.cut(new Error(`more than ${String(this.#deps.maxQueuedBytes)} bytes wait for the worker`));
      return;
    }
    if (this.#waiting) return;
    this.#waiting = true;
    this.#deps.onWaiting(this);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#decoder.push(chunk);
    this.#read();
  };

  #read(): void {
    try {
      while (!this.#socket.destroyed && this.queuedBytes <= PAUSE_ABOVE_BYTES && this.#decoder.next()) {
        this.#deps.onFrame(this, this.#frame);
      }
    } catch (error) {
      this.cut(asError(error));
      return;
    }
    const mustPause = this.queuedBytes > PAUSE_ABOVE_BYTES;
    if (mustPause === this.#paused) return;
    this.#paused = mustPause;
    if (mustPause) this.#socket.pause();
    else this.#socket.resume();
  }
}
