// Reads the request head of every new connection in the primary, with a size limit and a deadline, so that slow or
// silent peers never reach a worker.
import type { Socket } from 'node:net';
import type { Clock } from '../../util/clock.ts';
import { refuse, type Refusal } from './refusal.ts';
import { parseRequestHead, type RequestHead, withoutUpgrade } from './request-head.ts';

export interface HeadLimits {
  readonly maxHeadBytes: number;
  /** From accept to the end of the head. */
  readonly timeoutMs: number;
  /** Connections without a head yet; beyond it the oldest goes, which has had the longest time to speak. */
  readonly maxPending: number;
}

export const defaultHeadLimits: HeadLimits = { maxHeadBytes: 16_384, timeoutMs: 10_000, maxPending: 8192 };

interface HeadReaderDeps {
  readonly clock: Clock;
  /** The socket is frozen by its next owner; `bytes` is all that was read from it, head (without an upgrade that nobody
   * here can do) and what came after. */
  readonly onHead: (socket: Socket, head: RequestHead, bytes: Buffer) => void;
  readonly onRefused: (reason: string) => void;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const TOO_LARGE: Refusal = { status: 431, reason: 'request head too large' };
const TOO_SLOW: Refusal = { status: 408, reason: 'request head too slow' };
const NOT_HTTP: Refusal = { status: 400, reason: 'not an http request' };
const CROWDED_OUT = 'too many unfinished request heads';

/** One connection that has not finished its first request head. */
class PendingHead {
  readonly socket: Socket;
  readonly deadlineMs: number;
  readonly #reader: HeadReader;
  /** Read so far are the first `#length` bytes; grows by doubling, so that a byte at a time costs no more than one piece. */
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;

  constructor(socket: Socket, deadlineMs: number, reader: HeadReader) {
    this.socket = socket;
    this.deadlineMs = deadlineMs;
    this.#reader = reader;
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onClose);
  }

  /** Everything read. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  release(): void {
    this.socket.off('data', this.#onData);
    this.socket.off('end', this.#onEnd);
    this.socket.off('close', this.#onClose);
  }

  readonly #onData = (chunk: Buffer): void => {
    const searchFrom = Math.max(0, this.#length - HEAD_END.length + 1);
    this.#append(chunk);
    this.#reader.judge(this, searchFrom);
  };

  readonly #onEnd = (): void => {
    this.socket.destroy();
  };

  readonly #onClose = (): void => {
    this.#reader.forget(this);
  };

  #append(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (this.#length === 0) {
      this.#buffer = chunk;
    } else {
      if (length > this.#buffer.length) {
        const grown = Buffer.allocUnsafeSlow(length * 2);
        this.#buffer.copy(grown, 0, 0, this.#length);
        this.#buffer = grown;
      }
      chunk.copy(this.#buffer, this.#length);
    }
    this.#length = length;
  }
}

export class HeadReader {
  readonly #deps: HeadReaderDeps;
  readonly #limits: HeadLimits;
  /** In the order of arrival, so the first one is due first. */
  readonly #pending = new Set<PendingHead>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(deps: HeadReaderDeps, limits: HeadLimits) {
    this.#deps = deps;
    this.#limits = limits;
  }

  get pending(): number {
    return this.#pending.size;
  }

  accept(socket: Socket): void {
    socket.on('error', destroyThis);
    if (this.#closed) {
      socket.destroy();
      return;
    }
    if (this.#pending.size >= this.#limits.maxPending) this.#dropOldest();
    const deadlineMs = this.#deps.clock.monotonicMs() + this.#limits.timeoutMs;
    this.#pending.add(new PendingHead(socket, deadlineMs, this));
    this.#timer ??= setTimeout(this.#expire, this.#limits.timeoutMs);
  }

  /** Gives those that have not finished a head to somebody else, with what was read from them. */
  giveAway(take: (socket: Socket, bytes: Buffer) => void): void {
    for (const pending of this.#pending) {
      this.#release(pending);
      take(pending.socket, pending.bytes);
    }
  }

  /** Ends those that have not finished a head. May be called twice. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const pending of this.#pending) pending.socket.destroy();
  }

  /** More has been read; the end of the head is not before `searchFrom`. */
  judge(pending: PendingHead, searchFrom: number): void {
    const { bytes } = pending;
    if (!mayStartRequest(bytes)) {
      this.#refuse(pending, NOT_HTTP);
      return;
    }
    const end = bytes.indexOf(HEAD_END, searchFrom);
    const headBytes = end === -1 ? bytes.length : end + HEAD_END.length;
    if (headBytes > this.#limits.maxHeadBytes) {
      this.#refuse(pending, TOO_LARGE);
      return;
    }
    if (end === -1) return;
    const headAsRead = bytes.subarray(0, headBytes);
    const head = parseRequestHead(headAsRead);
    if (head === undefined) {
      this.#refuse(pending, NOT_HTTP);
      return;
    }
    this.#release(pending);
    const headToPass = head.upgrade ? headAsRead : withoutUpgrade(headAsRead);
    const isAsRead = headToPass === headAsRead;
    this.#deps.onHead(
      pending.socket,
      head,
      isAsRead ? bytes : Buffer.concat([headToPass, bytes.subarray(headBytes)]),
    );
  }

  forget(pending: PendingHead): void {
    this.#pending.delete(pending);
  }

  #dropOldest(): void {
    for (const oldest of this.#pending) {
      this.#pending.delete(oldest);
      oldest.socket.destroy();
      this.#deps.onRefused(CROWDED_OUT);
      return;
    }
  }

  readonly #expire = (): void => {
    this.#timer = undefined;
    const nowMs = this.#deps.clock.monotonicMs();
    for (const pending of this.#pending) {
      const leftMs = pending.deadlineMs - nowMs;
      if (leftMs > 0) {
        this.#timer = setTimeout(this.#expire, leftMs);
        return;
      }
      this.#refuse(pending, TOO_SLOW);
    }
  };

  #refuse(pending: PendingHead, refusal: Refusal): void {
    this.#release(pending);
    this.#deps.onRefused(refusal.reason);
    refuse(pending.socket, refusal);
  }

  #release(pending: PendingHead): void {
    pending.release();
    this.#pending.delete(pending);
  }
}

function destroyThis(this: Socket): void {
  this.destroy();
}

function mayStartRequest(bytes: Buffer): boolean {
  const first = bytes[0] ?? 0;
  return (first >= 0x41 && first <= 0x5a) || first === 0x0d;
}
