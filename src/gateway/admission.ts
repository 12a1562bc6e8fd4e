// Whether this worker takes another connection now; said before the handshake, so that a load balancer tries elsewhere.
import { TokenBucket } from '../util/token-bucket.ts';

export interface AdmissionDeps {
  readonly nowMs: () => number;
  readonly openConnections: () => number;
  readonly isDraining: () => boolean;
  readonly isOverloaded: () => boolean;
}

export interface AdmissionLimits {
  /** Connections of this worker: its share of the host's limit; 0 for none. */
  readonly maxConnections: number;
  /** New connections a second of this worker; 0 for no limit. */
  readonly connectionsPerSecond: number;
}

export type Refusal = 'draining' | 'overloaded' | 'connection_limit' | 'connection_rate';

export class Admission {
  readonly #deps: AdmissionDeps;
  readonly #limits: AdmissionLimits;
  readonly #rate: TokenBucket | undefined;

  constructor(deps: AdmissionDeps, limits: AdmissionLimits) {
    this.#deps = deps;
    this.#limits = limits;
    const perSecond = limits.connectionsPerSecond;
    if (perSecond > 0) this.#rate = new TokenBucket(perSecond, Math.max(1, perSecond), deps.nowMs());
  }

  /** Room for more than what is open, for readiness. */
  get hasRoom(): boolean {
    const { maxConnections } = this.#limits;
    return maxConnections === 0 || this.#deps.openConnections() < maxConnections;
  }

  /** Why a connection that asks now is refused; undefined when it is welcome (and counted against the rate). */
  refusal(): Refusal | undefined {
    if (this.#deps.isDraining()) return 'draining';
    if (this.#deps.isOverloaded()) return 'overloaded';
    if (!this.hasRoom) return 'connection_limit';
    if (this.#rate?.take(this.#deps.nowMs()) === false) return 'connection_rate';
    return undefined;
  }
}
