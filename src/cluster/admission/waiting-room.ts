// New connections whose turn has not come, in the primary: their sockets are still read, so that whoever gives up is
// noticed and costs no worker anything. Those that come back stand before those that are new.
import type { Socket } from 'node:net';
import { freeze } from '../../util/native-handle.ts';
import type { RequestHead } from './request-head.ts';

export interface Arrival {
  readonly socket: Socket;
  readonly head: RequestHead;
  readonly bytes: Buffer;
  readonly returning: boolean;
  /** By which it is known when it comes back. */
  readonly key: string;
}

/** What a client may send behind its request meanwhile; then it is read no further. */
const MAX_MORE_BYTES = 65_536;
/** What all of them may; who sends more than nothing then waits with it outside. */
const MAX_ALL_MORE_BYTES = 64 * 1024 * 1024;

/** One who waits. */
export class Waiting {
  readonly socket: Socket;
  readonly head: RequestHead;
  readonly returning: boolean;
  readonly key: string;
  readonly sinceMs: number;
  readonly untilTick: number;
  readonly #room: WaitingRoom;
  readonly #first: Buffer;
  #more: Buffer[] | undefined;
  #moreBytes = 0;

  constructor(arrival: Arrival, sinceMs: number, untilTick: number, room: WaitingRoom) {
    this.socket = arrival.socket;
    this.head = arrival.head;
    this.returning = arrival.returning;
    this.key = arrival.key;
    this.sinceMs = sinceMs;
    this.untilTick = untilTick;
    this.#first = arrival.bytes;
    this.#room = room;
    this.socket.on('data', this.#onData);
    this.socket.on('end', this.#onEnd);
    this.socket.on('close', this.#onClose);
  }

  /** Everything read of it. */
  get bytes(): Buffer {
    return this.#more === undefined ? this.#first : Buffer.concat([this.#first, ...this.#more]);
  }

  /** Its next owner freezes it in the same turn. */
  release(): void {
    this.#room.moreBytes -= this.#moreBytes;
    this.socket.off('data', this.#onData);
    this.socket.off('end', this.#onEnd);
    this.socket.off('close', this.#onClose);
  }

  readonly #onData = (chunk: Buffer): void => {
    (this.#more ??= []).push(chunk);
    this.#moreBytes += chunk.length;
    this.#room.moreBytes += chunk.length;
    // Not pause(): what it reads ahead would stay behind when the handle goes to a worker.
    if (this.#moreBytes >= MAX_MORE_BYTES || this.#room.moreBytes >= MAX_ALL_MORE_BYTES) freeze(this.socket);
  };

  readonly #onEnd = (): void => {
    // A request may end its side and wait for the answer; a client that wants a WebSocket has given up.
    if (this.head.upgrade) this.socket.destroy();
  };

  readonly #onClose = (): void => {
    this.#room.forget(this);
  };
}

export class WaitingRoom {
  /** In the order of arrival. */
  readonly #returning = new Set<Waiting>();
  readonly #new = new Set<Waiting>();
  /** Clients that hung up while they waited. */
  gaveUp = 0;
  /** Sent behind their requests by all who wait. */
  moreBytes = 0;

  get size(): number {
    return this.#returning.size + this.#new.size;
  }

  get returning(): number {
    return this.#returning.size;
  }

  /** How many would be served before this one. */
  ahead(returning: boolean): number {
    return returning ? this.#returning.size : this.size;
  }

  add(arrival: Arrival, sinceMs: number, untilTick: number): void {
    const waiting = new Waiting(arrival, sinceMs, untilTick, this);
    (arrival.returning ? this.#returning : this.#new).add(waiting);
  }

  /** Whose turn it is. */
  next(): Waiting | undefined {
    for (const queue of [this.#returning, this.#new]) {
      for (const waiting of queue) {
        this.#take(waiting);
        return waiting;
      }
    }
    return undefined;
  }

  /** Of those that are new the one with the least time left, who makes room for one who comes back. */
  oldestNew(): Waiting | undefined {
    for (const waiting of this.#new) {
      this.#take(waiting);
      return waiting;
    }
    return undefined;
  }

  /** Those whose time is over at this tick, or all. */
  *leave(tick = Infinity): Generator<Waiting> {
    for (const queue of [this.#returning, this.#new]) {
      for (const waiting of queue) {
        if (waiting.untilTick > tick) break;
        this.#take(waiting);
        yield waiting;
      }
    }
  }

  forget(waiting: Waiting): void {
    this.#take(waiting);
    this.gaveUp += 1;
  }

  #take(waiting: Waiting): void {
    waiting.release();
    this.#returning.delete(waiting);
    this.#new.delete(waiting);
  }
}
