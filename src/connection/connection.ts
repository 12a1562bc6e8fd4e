// One client, from accepted socket to close: runs the state machine, keeps commands in order, and owns the outbox.
import type { CloseCause } from '../protocol/close-causes.ts';
import { CloseCauses } from '../protocol/close-causes.ts';
import type { Command } from '../protocol/commands.ts';
import { frameMessage, frameMessages } from '../protocol/message-framing.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import type { Codec, Message, Push, Result } from '../protocol/replies.ts';
import type { ReplyError } from '../protocol/reply-errors.ts';
import type { Timed } from '../util/deadline-wheel.ts';
import { type BucketRate, charge, fullBucket } from '../util/token-bucket.ts';
import {
  type ConnectionEffect,
  type ConnectionEvent,
  type ConnectionState,
  justRuns,
  nextDeadlineMs,
  openedState,
  transition,
} from './connection-state.ts';
import { Inbox } from './inbox.ts';
import { Moving } from './moving.ts';
import type { Flushable } from './flusher.ts';
import { type FrameClass, Outbox } from './outbox.ts';
import { PingAnswers } from './ping-answers.ts';
import type { Session, SessionSnapshot } from './session.ts';
import { snapshotOf, stateOnArrival } from './snapshot.ts';
import type { Subscription } from './subscription.ts';
import type { ConnectionShared } from './surroundings.ts';
import type { Transport } from './transport.ts';

export class Connection implements Timed, Flushable {
  // What each delivery reads stands together, and first: in a large channel these are fetched from memory each time.
  readonly transport: Transport;
  readonly #outbox: Outbox;
  /** Replies of the commands that are being carried out synchronously: they leave in one frame. */
  #replies: Message[] | undefined;
  #dirty = false;
  #moving: Moving | undefined;
  readonly #shared: ConnectionShared;
  deadlineMs = Infinity;
  wheelSlot = -1;
  readonly session: Session;
  readonly subscriptions = new Map<string, Subscription>();
  #state: ConnectionState;
  readonly #inbox: Inbox;
  #readingPaused = false;
  #batching = false;
  #pingAnswers: PingAnswers | undefined;

  /** With a snapshot it begins held and frozen, until `thaw` and `letGo`. */
  constructor(transport: Transport, session: Session, shared: ConnectionShared, from?: SessionSnapshot) {
    this.transport = transport;
    this.session = session;
    this.#shared = shared;
    this.#outbox = new Outbox(shared.outboxLimits, shared.outboxCounters);
    this.#inbox = Inbox.of(from?.inbox ?? []);
    if (from !== undefined) {
      this.#moving = Moving.arriving();
      this.#readingPaused = true;
      this.#state = stateOnArrival(from, shared);
      return;
    }
    this.#state = openedState(shared.wheel.nowMs + shared.staleCloseDelayMs);
    shared.wheel.schedule(this, nextDeadlineMs(this.#state));
  }

  get codec(): Codec {
    return this.#shared.codecs[this.transport.format.encoding];
  }

  get isClosed(): boolean {
    return this.#state.phase === 'closed';
  }

  get isLive(): boolean {
    return this.#state.phase === 'live';
  }

  /** The peer has sent a command at least. */
  get hasSpoken(): boolean {
    return this.#state.phase !== 'opened';
  }

  /** Bytes that the peer has not taken yet. */
  get unsentBytes(): number {
    return this.#outbox.queuedBytes + this.transport.pendingBytes;
  }

  /** A handler still owes a reply, or something else is at work for it. */
  get isBusy(): boolean {
    return this.#inbox.running > 0 || (this.#moving?.owed ?? 0) > 0;
  }

  get isFrozen(): boolean {
    return this.#moving?.isFrozen === true;
  }

  /** Node that it lives on at; empty when nobody knows. */
  get movedTo(): string | undefined {
    return this.#moving?.movedTo;
  }

  /** Everything it had to say is with the transport. */
  get hasWritten(): boolean {
    return this.#outbox.isEmpty && this.#replies === undefined;
  }

  /** Work that is not a command, and would be lost if the connection were moved meanwhile. Must not reject. */
  keepHere(work: Promise<unknown>): void {
    const moving = (this.#moving ??= new Moving());
    moving.owe(work, () => this.#tellIdle());
  }

  /** Begins no further commands and reads nothing; resolves when none is under way, or when it has ended. */
  hold(): Promise<void> {
    const moving = (this.#moving ??= new Moving());
    moving.hold();
    if (!this.isClosed) this.#throttleReading();
    return new Promise((resolve) => {
      moving.whenIdle(resolve);
      this.#tellIdle();
    });
  }

  letGo(): void {
    this.#moving?.letGo();
    if (!this.isClosed) this.#pump();
  }

  /** From here on it is silent, and deaf: what happens to it is made good by `thaw`. */
  freeze(): SessionSnapshot {
    (this.#moving ??= new Moving()).isFrozen = true;
    this.#shared.wheel.schedule(this, Infinity);
    return this.snapshot();
  }

  /** What is still to be written, for another worker to do; it is no longer here. While frozen. */
  takeUnsent(): readonly Buffer[] {
    const pong = this.#pingAnswers?.takeHeld();
    if (pong !== undefined) this.#outbox.push(pong, 'control', this.transport);
    return this.#outbox.takeAll();
  }

  /** What another worker has not written, in front of everything else. While frozen. */
  queueUnsent(frames: readonly Buffer[]): void {
    for (const frame of frames) this.#outbox.push(frame, 'control', this.transport);
  }

  /** It is here again, or has arrived: goes on where it stopped. */
  thaw(): void {
    const moving = this.#moving;
    if (moving?.isFrozen !== true) return;
    moving.isFrozen = false;
    this.#shared.wheel.schedule(this, nextDeadlineMs(this.#state));
    for (const event of moving.takePostponed()) this.dispatch(event);
    moving.tellSettled();
    this.flush();
  }

  /** It lives on elsewhere: gives up its place here without a word to anybody. */
  forsake(movedTo: string): void {
    const moving = (this.#moving ??= new Moving());
    moving.movedTo = movedTo;
    moving.isFrozen = false;
    this.#state = { ...this.#state, phase: 'closed' };
    this.#shared.wheel.schedule(this, Infinity);
    this.#discard();
    this.transport.destroy();
    moving.tellSettled();
  }

  /** To be told where a frozen connection goes on: at another node or, undefined, here. */
  onSettled(listener: (movedTo: string | undefined) => void): void {
    (this.#moving ??= new Moving()).whenSettled(listener);
  }

  snapshot(): SessionSnapshot {
    return snapshotOf(this, this.#state, this.#inbox.waiting, this.#shared);
  }

  dispatch(event: ConnectionEvent): boolean {
    if (this.#moving?.postpones(event) === true) return false;
    const [next, effects] = transition(this.#state, event, this.#shared.timing);
    if (next !== this.#state) {
      this.#state = next;
      this.#shared.wheel.schedule(this, nextDeadlineMs(next));
    }
    let run = false;
    for (const effect of effects) run = this.#apply(effect) || run;
    return run;
  }

  onDeadline(nowMs: number): void {
    this.dispatch({ type: 'deadline', nowMs });
    // A deadline that the state did not move (none does so today) must not be forgotten.
    if (this.wheelSlot === -1) this.#shared.wheel.schedule(this, nextDeadlineMs(this.#state));
  }

  /** One frame from the peer. The bytes are only valid during the call. */
  onFrame(frame: Buffer): void {
    if (this.isClosed) return;
    this.session.signs.lastFrameWallMs = this.#shared.clock.wallMs();
    if (this.#shared.inboundBytes !== undefined) this.#meter(frame.length, this.#shared.inboundBytes);
    let commands: readonly Command[];
    try {
      commands = this.codec.decode(frame);
    } catch (error) {
      this.close(error instanceof ProtocolError ? error.close : CloseCauses.internalError);
      return;
    }
    for (const command of commands) {
      // A pong is not held up by a handler that takes its time.
      if (command.kind === 'pong') this.#onPong();
      else this.#inbox.add(command);
    }
    this.#inbox.addBytes(frame.length);
    this.#pump();
  }

  onTransportDrain(): void {
    if (this.isClosed) return;
    const pong = this.#pingAnswers?.takeHeld();
    if (pong !== undefined) this.deliver(pong, 'control');
    this.#outbox.drained(this.transport);
  }

  /** The peer is gone, or the transport has told it why it has to go. */
  onTransportClosed(cause: CloseCause = CloseCauses.connectionClosed): void {
    this.dispatch({ type: 'transport_closed', cause });
  }

  /** A ping frame of the peer, with the frame that answers it. */
  onTransportPing(pong: Buffer): void {
    if (this.isClosed) return;
    const nowMs = this.#shared.clock.monotonicMs();
    const answers = (this.#pingAnswers ??= new PingAnswers(nowMs));
    if (!answers.mayAnswer(nowMs)) this.close(CloseCauses.tooManyRequests);
    else if (this.#outbox.isBlocked) answers.hold(pong);
    else this.deliver(pong, 'control');
  }

  /** A pong frame, where pings are frames; such clients may also send them unasked. */
  onNativePong(): void {
    if (this.#state.pongByMs === Infinity) return;
    this.session.signs.lastFrameWallMs = this.#shared.clock.wallMs();
    this.#onPong();
  }

  reply(id: number, result: Result): void {
    const message = this.codec.reply(id, result);
    if (message === undefined) this.close(CloseCauses.inappropriateProtocol);
    else this.#answer(message);
  }

  replyError(id: number, error: ReplyError): void {
    this.#answer(this.codec.error(id, error));
  }

  push(push: Push): void {
    const { format } = this.transport;
    const message = this.codec.push(push, format.unidirectional);
    if (message === undefined) this.close(CloseCauses.inappropriateProtocol);
    else this.deliver(frameMessage(format, message), 'publication');
  }

  /** Queues a complete frame of this transport's format; it leaves at the end of the event-loop turn. */
  deliver(frame: Buffer, frameClass: FrameClass): void {
    // Replies that were given before go first; too many of them end the connection, too.
    if (this.#replies !== undefined) this.#frameReplies();
    if (!this.#outbox.push(frame, frameClass, this.transport)) {
      this.close(CloseCauses.slow);
      return;
    }
    if (this.#dirty) return;
    this.#dirty = true;
    this.#shared.flusher.add(this);
  }

  flush(): void {
    this.#dirty = false;
    if (!this.isFrozen) this.#outbox.flush(this.transport);
  }

  close(cause: CloseCause): void {
    this.dispatch({ type: 'close', cause });
  }

  #apply(effect: ConnectionEffect): boolean {
    switch (effect.type) {
      case 'run':
        return true;
      case 'send_ping':
        this.#ping();
        return false;
      case 'expire':
        this.#shared.owner.onExpire(this);
        return false;
      case 'check_subscriptions':
        this.#shared.owner.onSubscriptionDeadline(this);
        return false;
      case 'read_again':
        this.#throttleReading();
        return false;
      case 'close':
        this.#sayLastWords(effect.cause);
        this.#release(effect.cause);
        this.transport.close(effect.cause);
        return false;
      case 'release':
        this.#release(effect.cause);
        return false;
    }
  }

  #onPong(): void {
    const { signs } = this.session;
    if (this.#state.pongByMs !== Infinity && signs.pingSentMs !== -1) {
      signs.roundTripMs = this.#shared.clock.monotonicMs() - signs.pingSentMs;
    }
    this.dispatch({ type: 'command', kind: 'pong' });
  }

  #ping(): void {
    if (this.#outbox.isBlocked) {
      this.#skipPing();
      return;
    }
    this.session.signs.pingSentMs = this.#shared.clock.monotonicMs();
    if (this.transport.nativePing !== undefined) this.transport.nativePing();
    else this.deliver(frameMessage(this.transport.format, this.codec.ping), 'control');
  }

  /** Behind unread bytes a ping would prove nothing for long; that some of them were read proves enough. */
  #skipPing(): void {
    if (this.#outbox.takeProgress()) this.dispatch({ type: 'ping_skipped' });
    else this.close(CloseCauses.slow);
  }

  #sayLastWords(cause: CloseCause): void {
    if (this.#outbox.isBlocked || cause === CloseCauses.slow) return;
    if (this.#replies !== undefined) {
      const messages = this.#replies;
      this.#replies = undefined;
      this.#outbox.push(frameMessages(this.transport.format, messages), 'control', this.transport);
    }
    this.#outbox.flush(this.transport);
  }

  #release(cause: CloseCause): void {
    this.#discard();
    this.#tellIdle();
    this.#shared.owner.onClosed(this, cause);
  }

  #discard(): void {
    this.#outbox.end();
    this.#replies = undefined;
    this.#inbox.clear();
  }

  #tellIdle(): void {
    if (this.isClosed || !this.isBusy) this.#moving?.tellIdle();
  }

  /** Starts queued commands, one after the other (or up to `concurrency` at once), in order. */
  #pump(): void {
    if (this.#batching) return;
    this.#batching = true;
    const inbox = this.#inbox;
    for (let next = inbox.next; next !== undefined && this.#mayStart(next); next = inbox.next) {
      inbox.take();
      const { kind } = next;
      if (justRuns(this.#state, kind) || this.dispatch({ type: 'command', kind })) this.#run(next);
    }
    this.#batching = false;
    if (this.isClosed) return;
    if (this.#replies !== undefined) this.#frameReplies();
    this.#throttleReading();
  }

  #mayStart(next: Command): boolean {
    if (this.#moving?.isHeld === true) return false;
    return this.#inbox.mayStart(next, this.#state.phase === 'live', this.#shared.concurrency);
  }

  #run(command: Command): void {
    const done = this.#shared.owner.onCommand(this, command);
    if (done === undefined) return;
    this.#inbox.begin();
    // The owner promises not to reject; `finally` keeps the count right whatever happens.
    void done.finally(() => {
      this.#inbox.end();
      if (!this.isClosed) this.#pump();
      this.#tellIdle();
    });
  }

  #meter(bytes: number, rate: BucketRate): void {
    const nowMs = this.#shared.clock.monotonicMs();
    const bucket = (this.session.inboundBytes ??= fullBucket(rate, nowMs));
    const waitMs = charge(bucket, rate, nowMs, bytes);
    if (waitMs > 0) this.dispatch({ type: 'throttled', untilMs: this.#shared.wheel.nowMs + waitMs });
  }

  /** A peer that sends faster than its commands are carried out, or than it may, is read no further. */
  #throttleReading(): void {
    const isHeld = this.#moving?.isHeld === true;
    const pause = isHeld || this.#state.readAtMs !== Infinity || this.#inbox.isBehind(this.#readingPaused);
    if (pause === this.#readingPaused) return;
    this.#readingPaused = pause;
    this.dispatch({ type: 'paused', isPaused: pause, nowMs: this.#shared.wheel.nowMs });
    if (pause) this.transport.pauseReading();
    else this.transport.resumeReading();
  }

  #answer(message: Message): void {
    if (this.isClosed) return;
    if (this.#replies === undefined) this.#replies = [message];
    else this.#replies.push(message);
    if (!this.#batching) this.#frameReplies();
  }

  #frameReplies(): void {
    const messages = this.#replies;
    if (messages === undefined) return;
    this.#replies = undefined;
    this.deliver(frameMessages(this.transport.format, messages), 'reply');
  }
}
