// Where the primary decides about new connections, before any worker pays for them: in at once, in when it is their turn,
// or not now. Requests of clients that are here already pass by.
import type { Socket } from 'node:net';
import type { Random } from '../../util/backoff.ts';
import { TrustedProxies } from '../../util/client-address.ts';
import type { Clock } from '../../util/clock.ts';
import { thaw } from '../../util/native-handle.ts';
import { nextPace, type Pace, type PacePolicy, startPace } from '../../util/pace.ts';
import { type BucketState, fullBucket, takeToken } from '../../util/token-bucket.ts';
import { AcceptRate } from './accept-rate.ts';
import { AddressLimits } from './address-limits.ts';
import type { WorkerLoad } from '../ipc.ts';
import { refuse, type Refusal } from './refusal.ts';
import type { RequestHead } from './request-head.ts';
import { defaultReturnPolicy, Returning } from './returning.ts';
import { SeenLately } from './seen-lately.ts';
import { type Arrival, type Waiting, WaitingRoom } from './waiting-room.ts';

export interface AdmissionSettings {
  /** 0: measured. */
  readonly acceptRate: number;
  readonly queueTimeMs: number;
  readonly maxQueued: number;
  /** New connections a second of one address; 0: no limit. */
  readonly addressRate: number;
  readonly addressBurst: number;
  readonly trustedProxies: readonly string[];
  readonly workers: number;
}

export interface AdmissionDeskDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Whether this request would begin a connection. */
  readonly isNewClient: (head: RequestHead) => boolean;
  /** Why nobody new is taken at all; undefined when some are. */
  readonly closedFor: () => Refusal | undefined;
  /** Connections that were let in and have not reached a worker. */
  readonly onTheWay: () => number;
  /** Takes the socket of a new client over in the same turn. */
  readonly letIn: (socket: Socket, head: RequestHead, bytes: Buffer) => void;
  /** The same for any other request. */
  readonly passBy: (socket: Socket, head: RequestHead, bytes: Buffer) => void;
  readonly onRefused: (reason: string) => void;
  readonly onLetIn: (waitedMs: number) => void;
}

/** Passed to the workers ahead of time, so that none of them waits for the primary. */
const ON_THE_WAY_PER_WORKER = 8;
const TICK_MS = 20;
/** 16 to 24 bytes each. */
const MAX_SEEN = 262_144;
/** A worker alone takes less on any machine: where the pace begins, and no limit. */
const MAX_PER_WORKER = 20_000;
/** Whatever makes a worker late, this little is not it. */
const MIN_PER_WORKER = 1000;
const LATE_MS = 80;
const ON_TIME_MS = 40;
/** What may go at once after a quiet moment: of a pace that was lowered. */
const BURST_S = 0.2;
const MAX_RETRY_AFTER_S = 20;
/** In the body or the URL of a first request: the client remembers where it was. */
const RECOVER_HINT = /recover(?:"|%22)(?::|%3A)true/i;

export class AdmissionDesk {
  readonly rate: AcceptRate;
  readonly #deps: AdmissionDeskDeps;
  readonly #room = new WaitingRoom();
  readonly #seen = new SeenLately(MAX_SEEN);
  readonly #addresses = new AddressLimits();
  readonly #repeated: Returning;
  #settings: AdmissionSettings;
  #proxies: TrustedProxies;
  #policy: PacePolicy;
  #pace: Pace;
  #bucket: BucketState;
  #timer: NodeJS.Timeout | undefined;
  /** Counts while somebody waits: time in which this process stood still is nobody's waiting time. */
  #ticks = 0;
  #pumping = false;
  #closed = false;

  constructor(deps: AdmissionDeskDeps, settings: AdmissionSettings) {
    this.#deps = deps;
    this.#settings = settings;
    this.#proxies = new TrustedProxies(settings.trustedProxies);
    this.#policy = policyFor(settings.workers);
    this.#pace = startPace(this.#policy);
    this.#bucket = fullBucket(this.#bucketRate, deps.clock.monotonicMs());
    this.#repeated = new Returning(deps.clock, defaultReturnPolicy);
    this.rate = new AcceptRate(() => deps.clock.monotonicMs());
  }

  /** The configuration has been read again. */
  configure(settings: AdmissionSettings): void {
    this.#settings = settings;
    this.#policy = policyFor(settings.workers);
    this.#pace = startPace(this.#policy);
    this.#proxies = new TrustedProxies(settings.trustedProxies);
    this.#bucket = fullBucket(this.#bucketRate, this.#deps.clock.monotonicMs());
  }

  get waiting(): { readonly returning: number; readonly new: number } {
    const { size, returning } = this.#room;
    return { returning, new: size - returning };
  }

  get gaveUp(): number {
    return this.#room.gaveUp;
  }

  /** Connections a second that this host takes: as configured, else as measured; undefined as long as nobody knows. */
  get acceptRate(): number | undefined {
    const { acceptRate } = this.#settings;
    const measured = this.rate.perSecond;
    return acceptRate > 0 ? Math.min(acceptRate, measured ?? acceptRate) : measured;
  }

  /** Takes the socket over; `bytes` is everything read from it. */
  arrive(socket: Socket, head: RequestHead, bytes: Buffer): void {
    const { isNewClient, closedFor, clock, letIn, passBy, onLetIn } = this.#deps;
    if (!isNewClient(head)) return passBy(socket, head, bytes);
    const closed = closedFor();
    if (closed !== undefined) return this.#sendElsewhere(socket, head, bytes, closed);
    const address = this.#proxies.clientAddress(socket.remoteAddress ?? '', head.forwardedFor);
    const { addressRate: perSecond, addressBurst } = this.#settings;
    const nowMs = clock.monotonicMs();
    if (perSecond > 0) {
      const limit = { perSecond, burst: Math.max(perSecond, addressBurst) };
      if (!this.#addresses.take(address, limit, nowMs)) {
        return this.#refuse(socket, { status: 429, reason: 'address_rate', retryAfterS: this.#spread(1) });
      }
    }
    // By sid where the page has one, which tells apart those behind one address.
    const key = head.sid ?? address;
    if (this.#room.size === 0 && this.#hasRoom() && takeToken(this.#bucket, this.#bucketRate, nowMs)) {
      this.#seen.add(key);
      onLetIn(0);
      this.rate.taken(false);
      return letIn(socket, head, bytes);
    }
    const returning = this.#seen.has(key) || RECOVER_HINT.test(head.target) || hintsRecovery(head, bytes);
    this.#wait({ socket, head, bytes, returning, key }, nowMs);
  }

  /** What a worker says; `slot` is its number. */
  onLoad(slot: number, load: WorkerLoad): void {
    this.rate.busy(slot, load, load.overMs);
    const workers = Math.max(1, this.#settings.workers);
    const begunPerSecond = (load.opened * 1000 * workers) / Math.max(1, load.overMs);
    this.#pace = nextPace(this.#pace, { lagMs: load.lagMs, begunPerSecond }, this.#policy);
    this.#bucket.tokens = Math.min(this.#bucket.tokens, this.#bucketRate.burst);
  }

  /** A connection has reached its worker, or never will. */
  onRoom(): void {
    if (this.#room.size > 0) this.#pump();
  }

  /** Refuses all who wait, when nobody new is taken any more. */
  dismiss(): void {
    const refusal = this.#deps.closedFor();
    if (refusal === undefined) return;
    for (const { socket } of this.#room.leave()) this.#refuse(socket, refusal);
  }

  /** Gives those who wait to somebody else, with what was read from them. */
  giveAway(take: (socket: Socket, bytes: Buffer) => void): void {
    for (const { socket, bytes } of this.#room.leave()) take(socket, bytes);
  }

  /** Ends those who wait. May be called twice. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#repeated.close();
    for (const { socket } of this.#room.leave()) socket.destroy();
  }

  get #bucketRate(): { readonly perSecond: number; readonly burst: number } {
    const { acceptRate } = this.#settings;
    if (acceptRate > 0) return { perSecond: acceptRate, burst: acceptRate };
    const { perSecond } = this.#pace;
    const isFree = perSecond >= this.#policy.maxPerSecond;
    return { perSecond, burst: Math.max(1, isFree ? perSecond : perSecond * BURST_S) };
  }

  #hasRoom(): boolean {
    return this.#deps.onTheWay() < ON_THE_WAY_PER_WORKER * Math.max(1, this.#settings.workers);
  }

  #wait(arrival: Arrival, nowMs: number): void {
    const { socket, returning } = arrival;
    const { queueTimeMs, maxQueued } = this.#settings;
    const waitMs = this.#expectedWaitMs(this.#room.ahead(returning));
    if (waitMs > queueTimeMs) return this.#refuse(socket, this.#busy(waitMs));
    if (this.#room.size >= maxQueued) {
      const other = returning ? this.#room.oldestNew() : undefined;
      if (other === undefined) return this.#refuse(socket, this.#busy(waitMs));
      this.#refuse(other.socket, this.#busy(waitMs));
    }
    const untilTick = this.#ticks + Math.ceil(queueTimeMs / TICK_MS);
    this.#room.add(arrival, nowMs, untilTick);
    this.#timer ??= setTimeout(this.#tick, TICK_MS);
  }

  #expectedWaitMs(ahead: number): number {
    const { perSecond } = this.#bucketRate;
    // Measured over a moment of which a neighbour took the most, a rate says little: nobody is refused for less than the least.
    const measured = Math.max(this.rate.measured ?? perSecond, this.#policy.minPerSecond);
    return (ahead * 1000) / Math.max(1, Math.min(perSecond, measured));
  }

  #pump(): void {
    // Letting one in may say at once that there is room.
    if (this.#pumping) return;
    this.#pumping = true;
    const nowMs = this.#deps.clock.monotonicMs();
    while (this.#hasRoom() && this.#room.size > 0 && takeToken(this.#bucket, this.#bucketRate, nowMs)) {
      const waiting = this.#room.next();
      if (waiting !== undefined) this.#admit(waiting, nowMs);
    }
    this.#pumping = false;
  }

  #admit({ socket, head, bytes, key, sinceMs }: Waiting, nowMs: number): void {
    this.#seen.add(key);
    this.#deps.onLetIn(nowMs - sinceMs);
    this.rate.taken(this.#room.size > 0);
    this.#deps.letIn(socket, head, bytes);
  }

  readonly #tick = (): void => {
    this.#timer = undefined;
    this.#ticks += 1;
    this.#pump();
    for (const { socket, returning } of this.#room.leave(this.#ticks)) {
      this.#refuse(socket, this.#busy(this.#expectedWaitMs(this.#room.ahead(returning))));
    }
    if (this.#room.size > 0) this.#timer = setTimeout(this.#tick, TICK_MS);
  };

  #busy(waitMs: number): Refusal {
    return { status: 503, reason: 'accept_rate', retryAfterS: this.#spread(waitMs / 1000) };
  }

  /** Whole seconds from this one to twice it: those who are refused together do not come back together. */
  #spread(seconds: number): number {
    const least = Math.max(1, seconds);
    return Math.min(MAX_RETRY_AFTER_S, Math.ceil(least * (1 + this.#deps.random())));
  }

  /** Nobody is let in at this moment: who comes again with the same request waits until its proxy knows that, too. */
  #sendElsewhere(socket: Socket, head: RequestHead, bytes: Buffer, refusal: Refusal): void {
    const { requestId } = head;
    const again = (): void => {
      thaw(socket);
      socket.resume();
      this.arrive(socket, head, bytes);
    };
    const waits =
      refusal.isKnownSoon === true &&
      !this.#closed &&
      requestId !== undefined &&
      this.#repeated.keep(requestId, socket, again);
    if (!waits) this.#refuse(socket, refusal);
  }

  #refuse(socket: Socket, refusal: Refusal): void {
    this.#deps.onRefused(refusal.reason);
    refuse(socket, refusal);
  }
}

function policyFor(workers: number): PacePolicy {
  const count = Math.max(1, workers);
  return {
    minPerSecond: MIN_PER_WORKER * count,
    maxPerSecond: MAX_PER_WORKER * count,
    lateMs: LATE_MS,
    onTimeMs: ON_TIME_MS,
  };
}

/** The first commands of fallback transports come with the request. */
function hintsRecovery({ upgrade }: RequestHead, bytes: Buffer): boolean {
  return !upgrade && RECOVER_HINT.test(bytes.toString('latin1'));
}
