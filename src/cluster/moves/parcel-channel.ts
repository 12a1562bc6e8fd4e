// A channel to another process of ours over which messages and connections go, both ways: connections one at a time, as
// Node passes them, and each is known to have arrived or not to have been taken.
import type { SendHandle, Serializable } from 'node:child_process';
import {
  acknowledgement,
  type ConnectionHandle,
  finishDisconnect,
  isConnectionHandle,
} from '../../util/native-handle.ts';

/** A ChildProcess, or the process itself at the child's end. */
export interface ChannelEnd {
  readonly connected: boolean;
  send?(
    message: Serializable,
    handle?: SendHandle,
    options?: undefined,
    callback?: (error: Error | null) => void,
  ): boolean;
  on(event: 'message', listener: (message: unknown, handle: unknown) => void): unknown;
  on(event: 'internalMessage', listener: (message: unknown) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
  off(event: 'message', listener: (message: unknown, handle: unknown) => void): unknown;
  off(event: 'internalMessage', listener: (message: unknown) => void): unknown;
  off(event: 'disconnect', listener: () => void): unknown;
  emit(event: 'disconnect'): boolean;
  disconnect?(): void;
}

export interface ChannelParcel {
  readonly message: object;
  /** Silent; undefined when the connection is closed by now. */
  handle(): (ConnectionHandle & SendHandle) | undefined;
  /** The other process has the descriptor. */
  delivered(): void;
  /** It has not, and never will. */
  refused(): void;
}

interface ParcelChannelDeps {
  readonly end: ChannelEnd;
  readonly onMessage: (message: unknown, handle: (ConnectionHandle & SendHandle) | undefined) => void;
  /** Everything that the other process ever said has been heard. */
  readonly onEnd: () => void;
}

/** How often a channel with a connection on its way is looked at: Node does not say that such a one has broken. */
const LOOK_MS = 250;

export class ParcelChannel {
  readonly #deps: ParcelChannelDeps;
  #waiting: ChannelParcel[] = [];
  #inFlight: ChannelParcel | undefined;
  #whenEmpty: (() => void)[] = [];
  #looking: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(deps: ParcelChannelDeps) {
    this.#deps = deps;
    deps.end.on('message', this.#onMessage);
    deps.end.on('internalMessage', this.#onInternalMessage);
    deps.end.on('disconnect', this.#onDisconnect);
  }

  get isOpen(): boolean {
    return !this.#isOver && this.#deps.end.connected;
  }

  post(message: object): void {
    if (this.isOpen) this.#deps.end.send?.(message, undefined, undefined, ignoreSendError);
  }

  /** In order among parcels; what is posted meanwhile may overtake. */
  deliver(parcel: ChannelParcel): void {
    if (!this.isOpen) {
      parcel.refused();
      return;
    }
    this.#waiting.push(parcel);
    this.#sendNext();
  }

  /** Resolves when no connection is on its way. */
  async whenEmpty(): Promise<void> {
    if (this.#inFlight === undefined && this.#waiting.length === 0) return;
    await new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
  }

  /** Hears and says nothing more; what was not delivered is refused. May be called twice. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#looking);
    const { end } = this.#deps;
    end.off('message', this.#onMessage);
    end.off('internalMessage', this.#onInternalMessage);
    end.off('disconnect', this.#onDisconnect);
    const undelivered = this.#inFlight === undefined ? this.#waiting : [this.#inFlight, ...this.#waiting];
    this.#inFlight = undefined;
    this.#waiting = [];
    for (const parcel of undelivered) parcel.refused();
    this.#tellEmpty();
  }

  #sendNext(): void {
    while (this.#inFlight === undefined && this.isOpen) {
      const parcel = this.#waiting.shift();
      if (parcel === undefined) {
        clearInterval(this.#looking);
        this.#looking = undefined;
        this.#tellEmpty();
        return;
      }
      const handle = parcel.handle();
      if (handle === undefined) {
        parcel.refused();
        continue;
      }
      this.#inFlight = parcel;
      this.#looking ??= setInterval(this.#look, LOOK_MS);
      this.#deps.end.send?.(parcel.message, handle, undefined, (error) => {
        // Not sent at all: nobody will acknowledge it.
        if (error !== null) this.#settle(parcel, false);
      });
    }
  }

  #settle(parcel: ChannelParcel, arrived: boolean): void {
    if (this.#inFlight !== parcel) return;
    this.#inFlight = undefined;
    if (arrived) parcel.delivered();
    else parcel.refused();
    this.#sendNext();
  }

  #tellEmpty(): void {
    const waiting = this.#whenEmpty;
    this.#whenEmpty = [];
    for (const resolve of waiting) resolve();
  }

  readonly #onMessage = (message: unknown, handle: unknown): void => {
    this.#deps.onMessage(message, isConnectionHandle(handle) ? handle : undefined);
  };

  readonly #onInternalMessage = (message: unknown): void => {
    const arrived = acknowledgement(message);
    const parcel = this.#inFlight;
    if (arrived !== undefined && parcel !== undefined) this.#settle(parcel, arrived);
  };

  readonly #look = (): void => {
    if (!this.#deps.end.connected) finishDisconnect(this.#deps.end);
  };

  readonly #onDisconnect = (): void => {
    if (this.#isOver) return;
    this.close();
    this.#deps.onEnd();
  };
}

function ignoreSendError(): void {
  // A channel that fails is a process that ends: 'disconnect' follows.
}
