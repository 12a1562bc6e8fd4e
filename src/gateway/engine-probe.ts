// Proves that the engine delivers: every second a message goes out through the Broker and must come back.
import type { Broker, BrokerListener } from '../engine/broker.ts';
import type { Distribution } from '../observe/hot-counters.ts';
import type { Clock } from '../util/clock.ts';
import { messageOf } from '../util/errors.ts';
import type { HealthCheck, HealthState } from './health.ts';

export interface EngineProbeDeps {
  readonly broker: Broker;
  readonly clock: Clock;
  /** Unique per process, so that each proves its own link. */
  readonly node: string;
  /** Where round trips are counted, in seconds. */
  readonly roundTrips?: Distribution | undefined;
  readonly intervalMs?: number | undefined;
  readonly timeoutMs?: number | undefined;
}

const INTERVAL_MS = 1_000;
const TIMEOUT_MS = 3_500;
/**
 * Stored: an engine that can pass messages on but not keep them is not well, and one that serves the channels of a single
 * process inside that process proves nothing by them.
 */
const PUBLISH_OPTIONS = { historySize: 1, historyTtlMs: 60_000, historyMetaTtlMs: 60_000 };

export class EngineProbe implements HealthCheck {
  readonly name = 'engine';
  /** No client can name it: channel names have no control characters. */
  readonly channel: string;
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #roundTrips: Distribution | undefined;
  readonly #timeoutMs: number;
  readonly #timer: NodeJS.Timeout;
  #isBusy = false;
  #isSubscribed = false;
  #isClosed = false;
  #sent = 0;
  #sentAtMs = 0;
  /** When the oldest message that still owes its echo went out. */
  #owedSinceMs: number | undefined;
  #roundTripMs: number | undefined;
  #failure = '';

  constructor(deps: EngineProbeDeps) {
    this.#broker = deps.broker;
    this.#clock = deps.clock;
    this.#roundTrips = deps.roundTrips;
    this.#timeoutMs = deps.timeoutMs ?? TIMEOUT_MS;
    this.channel = `\u0001probe:${deps.node}`;
    this.#timer = setInterval(() => void this.#send(), deps.intervalMs ?? INTERVAL_MS).unref();
    void this.#send();
  }

  /** Stands before the hub as the broker's listener and keeps the echoes to itself. */
  intercept(next: BrokerListener): BrokerListener {
    return {
      onPublication: (channel, publication, epoch, previous, origin) => {
        if (channel === this.channel) this.#onEcho(publication.data);
        else next.onPublication(channel, publication, epoch, previous, origin);
      },
      onJoin: (channel, info, origin) => next.onJoin(channel, info, origin),
      onLeave: (channel, info, origin) => next.onLeave(channel, info, origin),
      onInterruption: (channel) => next.onInterruption(channel),
    };
  }

  check(): HealthState {
    const owedMs = this.#owedSinceMs === undefined ? 0 : this.#clock.monotonicMs() - this.#owedSinceMs;
    if (this.#roundTripMs !== undefined && owedMs <= this.#timeoutMs) {
      return { ok: true, detail: `a message came back in ${this.#roundTripMs.toFixed(1)} ms` };
    }
    const reason = this.#failure === '' ? '' : `: ${this.#failure}`;
    return {
      ok: false,
      detail:
        this.#roundTripMs === undefined
          ? `no message has come back yet${reason}`
          : `no message came back for ${(owedMs / 1000).toFixed(1)} s${reason}`,
    };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    if (this.#isSubscribed) await this.#unsubscribe();
  }

  /** The engine may be the very thing that is gone; its subscriptions end with the process anyway. */
  async #unsubscribe(): Promise<void> {
    await this.#broker.unsubscribe(this.channel).catch(() => undefined);
  }

  async #send(): Promise<void> {
    if (this.#isBusy || this.#isClosed) return;
    this.#isBusy = true;
    this.#owedSinceMs ??= this.#clock.monotonicMs();
    try {
      if (!this.#isSubscribed) {
        await this.#broker.subscribe(this.channel);
        this.#isSubscribed = true;
        if (this.#isClosed) return await this.#unsubscribe();
      }
      this.#sent += 1;
      this.#sentAtMs = this.#clock.monotonicMs();
      await this.#broker.publish(this.channel, { data: Buffer.from(String(this.#sent)) }, PUBLISH_OPTIONS);
      this.#failure = '';
    } catch (error) {
      this.#failure = messageOf(error);
    } finally {
      this.#isBusy = false;
    }
  }

  #onEcho(data: Buffer): void {
    // An echo of an earlier message says that the engine is slow, not that it delivers now.
    if (data.toString() !== String(this.#sent)) return;
    this.#roundTripMs = this.#clock.monotonicMs() - this.#sentAtMs;
    this.#roundTrips?.observe(this.#roundTripMs / 1000);
    this.#owedSinceMs = undefined;
  }
}
