// A worker's end of the link to the embedded engine: one socket at a time, reconnected with back-off; requests in one
// pipeline, written once a turn; no request outlives its deadline or the link.
import { connect, type Socket } from 'node:net';
import type { Logger } from '../../observe/logger.ts';
import { backoffMs, type Random } from '../../util/backoff.ts';
import type { Clock } from '../../util/clock.ts';
import { HoldfastError, UnavailableError } from '../../util/errors.ts';
import { HandleReader } from '../../util/native-handle.ts';
import { FrameDecoder } from './frame-decoder.ts';
import { FrameReader } from '../frame-reader.ts';
import { FrameWriter } from '../frame-writer.ts';
import { PendingRequests, type Request } from './pending-requests.ts';
import { FrameType, MAX_FRAME_BYTES, WIRE_VERSION } from './wire.ts';

/** How long an engine that does not read may hold up the end of its worker. */
const CLOSE_TIMEOUT_MS = 500;
const RECONNECT = { minMs: 50, maxMs: 1000 };
const DEFAULT_MAX_QUEUED_BYTES = 16 * 1024 * 1024;

export interface ClientLinkDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Of the engine's UNIX socket. */
  readonly path: string;
  readonly node: string;
  readonly wantsOccupancy: boolean;
  readonly logger?: Logger | undefined;
  /** What may wait for an engine that does not read; beyond it requests fail. */
  readonly maxQueuedBytes?: number | undefined;
  /** The engine knows this node: interest and presence can be told again. */
  readonly onUp: () => void;
  readonly onDown: () => void;
  /** Another engine goes on exactly where this one has stopped: interest and presence are told anew, and nothing was lost. */
  readonly onMoved: () => void;
  /** Frames that are no answers. */
  readonly onFrame: (frame: FrameReader) => void;
}

export class ClientLink {
  readonly #deps: ClientLinkDeps;
  readonly #maxQueuedBytes: number;
  readonly #pending: PendingRequests;
  readonly #reader = new HandleReader();
  #socket: Socket | undefined;
  #writer = new FrameWriter();
  #up = false;
  /** What is written is kept until the engine goes on. */
  #paused = false;
  #moving = false;
  #refused = 0;
  #attempt = 0;
  #reconnecting: NodeJS.Timeout | undefined;
  #flushing: NodeJS.Immediate | undefined;
  #closed: Promise<void> | undefined;

  constructor(deps: ClientLinkDeps) {
    this.#deps = deps;
    this.#maxQueuedBytes = deps.maxQueuedBytes ?? DEFAULT_MAX_QUEUED_BYTES;
    this.#pending = new PendingRequests(deps.clock);
  }

  get up(): boolean {
    return this.#up;
  }
  get failedRequests(): number {
    return this.#refused + this.#pending.failed;
  }
  get pendingRequests(): number {
    return this.#pending.size;
  }
  /** Encoded and not yet taken by the kernel. */
  get queuedBytes(): number {
    return this.#writer.pendingBytes + (this.#socket?.writableLength ?? 0);
  }

  open(): void {
    if (this.#closed !== undefined || this.#socket !== undefined) return;
    this.#reconnecting = undefined;
    this.#writer = new FrameWriter();
    this.#connect();
  }

  #connect(): void {
    const frame = new FrameReader();
    const decoder = new FrameDecoder(frame);
    const socket = connect({ path: this.#deps.path });
    this.#socket = socket;
    const onData = (chunk: Buffer): void => {
      decoder.push(chunk);
      this.#read(socket, decoder, frame);
    };
    socket
      .once('connect', () => {
        this.#reader.attach(socket, {
          onRead: (bytes, count) => {
            // Listeners hold views of it until they have delivered it.
            onData(Buffer.from(bytes.subarray(0, count)));
            return count;
          },
        });
        this.#hello(socket);
      })
      .on('data', onData)
      .on('end', () => {
        socket.destroy();
      })
      // Whatever broke it, 'close' follows.
      .on('error', () => undefined)
      .once('close', () => {
        socket.removeAllListeners();
        this.#ended();
      });
  }

  /** Breaks the link, to be made anew. */
  reset(): void {
    this.#socket?.destroy();
  }

  /** Ends the link for good; what waits in the pipeline is given to the kernel first, if it takes it. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Why nothing can be sent now, or undefined. */
  refusal(): UnavailableError | undefined {
    if (!this.#up) return new UnavailableError('the engine cannot be reached');
    if (this.queuedBytes <= this.#maxQueuedBytes) return undefined;
    return new UnavailableError('the engine does not keep up with what it is asked');
  }

  /** Sends a request; rejects with UnavailableError within a second when no answer comes. */
  request<T>(type: number, request: Request<T>): Promise<T> {
    const refusal = this.refusal();
    return refusal === undefined ? this.#request(type, request) : this.#refuse(request, refusal);
  }

  /** Starts a frame that wants no answer. The link must be up; `end` must follow at once. */
  begin(type: number, id = 0): FrameWriter {
    return this.#writer.begin(type, id);
  }

  /** Completes the frame begun last and returns undefined, or takes it back and returns why it cannot be sent. */
  end(): HoldfastError | undefined {
    if (this.#writer.end() > MAX_FRAME_BYTES) {
      this.#writer.cancel();
      return new HoldfastError('HOLDFAST_TOO_LARGE', 'the engine takes no frame of this size');
    }
    this.#flushing ??= setImmediate(() => {
      this.#flush();
    });
    return undefined;
  }

  /** Sends what `write` writes ahead of everything that is kept. */
  directly(write: () => void): void {
    if (!this.#paused) this.#flush();
    const kept = this.#writer;
    this.#writer = new FrameWriter();
    write();
    this.#send(this.#writer);
    this.#writer = kept;
  }

  #request<T>(type: number, request: Request<T>): Promise<T> {
    const id = this.#pending.nextId();
    request.write(this.#writer.begin(type, id), id);
    const refusal = this.end();
    if (refusal !== undefined) return this.#refuse(request, refusal);
    return new Promise((resolve, reject) => {
      this.#pending.add(id, request, resolve, reject);
    });
  }

  #refuse<T>(request: Request<T>, refusal: Error): Promise<T> {
    this.#refused += 1;
    (request.refused ?? request.failed)?.(refusal);
    return Promise.reject(refusal);
  }

  #hello(socket: Socket): void {
    this.directly(() => this.#sayHello(socket));
  }

  #sayHello(socket: Socket): void {
    this.#request(FrameType.hello, {
      write: (frame) =>
        frame
          .u8(WIRE_VERSION)
          .string(this.#deps.node)
          .u8(this.#deps.wantsOccupancy ? 1 : 0),
      read: () => {
        this.#attempt = 0;
        if (this.#moving) {
          this.#retell();
          return;
        }
        this.#up = true;
        this.#deps.onUp();
      },
    }).catch((error: unknown) => {
      if (this.#socket !== socket) return;
      this.#deps.logger?.warn({ err: error }, 'engine refuses the link');
      socket.destroy();
    });
  }

  #read(socket: Socket, decoder: FrameDecoder, frame: FrameReader): void {
    this.#pending.heard();
    try {
      // After close() what still comes is of no interest.
      while (this.#closed === undefined && decoder.next()) {
        if (frame.type === FrameType.answer) this.#pending.answer(frame);
        else if (frame.type === FrameType.part) this.#pending.part(frame);
        else if (frame.type === FrameType.failure) this.#pending.fail(frame);
        else if (frame.type === FrameType.pause) this.#pause();
        else if (frame.type === FrameType.resume) this.#resume();
        else if (frame.type === FrameType.moved) {
          this.#move();
          return;
        } else this.#deps.onFrame(frame);
      }
    } catch (error) {
      this.#deps.logger?.error({ err: error }, 'engine link broken by a bad frame');
      socket.destroy();
    }
  }

  /** What was sent so far is followed by the word that nothing follows. */
  #pause(): void {
    if (!this.#paused) this.#flush();
    this.#pauses(true);
    this.directly(() => {
      this.begin(FrameType.paused);
      this.end();
    });
  }

  #resume(): void {
    this.#pauses(false);
    this.#moving = false;
    this.#flush();
  }

  #pauses(isPaused: boolean): void {
    this.#paused = isPaused;
    this.#pending.hold(isPaused);
  }

  /** All that was asked has been answered, and what is kept is for the next engine. */
  #move(): void {
    const socket = this.#socket;
    socket?.removeAllListeners();
    socket?.on('error', () => undefined);
    socket?.destroy();
    this.#pauses(true);
    this.#moving = true;
    this.#connect();
  }

  #retell(): void {
    this.directly(() => {
      this.#deps.onMoved();
      this.begin(FrameType.retold);
      this.end();
    });
  }

  #flush(): void {
    clearImmediate(this.#flushing);
    this.#flushing = undefined;
    if (!this.#paused) this.#send(this.#writer);
  }

  #send(writer: FrameWriter): void {
    const segments = writer.take();
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed) return;
    if (segments.length > 1) socket.cork();
    for (const segment of segments) socket.write(segment);
    if (segments.length > 1) socket.uncork();
  }

  async #close(): Promise<void> {
    const socket = this.#socket;
    clearTimeout(this.#reconnecting);
    if (this.#up) this.#flush();
    this.#down();
    if (socket === undefined || socket.closed) return;
    await new Promise<void>((resolve) => {
      const lastCall = setTimeout(() => {
        socket.destroy();
      }, CLOSE_TIMEOUT_MS);
      socket.once('close', () => {
        clearTimeout(lastCall);
        resolve();
      });
      socket.destroySoon();
    });
  }

  #ended(): void {
    this.#socket = undefined;
    this.#down();
    if (this.#closed !== undefined) return;
    const delayMs = backoffMs(RECONNECT, this.#attempt, this.#deps.random());
    this.#attempt += 1;
    this.#reconnecting = setTimeout(() => {
      this.open();
    }, delayMs);
  }

  #down(): void {
    const wasUp = this.#up;
    this.#up = false;
    this.#pauses(false);
    this.#moving = false;
    clearImmediate(this.#flushing);
    this.#flushing = undefined;
    this.#pending.failAll(new UnavailableError('the link to the engine broke'));
    if (wasUp) this.#deps.onDown();
  }
}
