// Builds what verifies tokens, with the key sets it fetches, from `client.*`.
import { JwksKeys, type JwksObserver } from '../auth/jwks.ts';
import type { TokenConfig } from '../auth/token-config.ts';
import { TokenVerifier } from '../auth/token-verifier.ts';
import type { VerificationGate } from '../auth/verification-gate.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../util/clock.ts';
import { tokenVerifierConfig } from './token-config.ts';

export interface OpenTokenVerifier {
  readonly verifier: TokenVerifier;
  /** Fetches key sets now, so that the first client need not wait. Never rejects. */
  warmUp(): Promise<void>;
  close(): Promise<void>;
}

/** Throws ConfigError when a key, a pattern or an endpoint cannot be used. */
export function openTokenVerifier(
  deps: {
    readonly clock: Clock;
    readonly observer: JwksObserver;
    readonly gate?: VerificationGate | undefined;
  },
  client: Config['client'],
): OpenTokenVerifier {
  const config = tokenVerifierConfig(client);
  const keysFor = (section: TokenConfig | undefined): JwksKeys | undefined =>
    section === undefined || section.jwksPublicEndpoint === '' ? undefined : new JwksKeys(deps, section);
  const connectionKeys = keysFor(config.connection);
  const subscriptionKeys = keysFor(config.subscription);
  const all = [connectionKeys, subscriptionKeys].filter((keys) => keys !== undefined);
  return {
    verifier: new TokenVerifier(
      { clock: deps.clock, connectionKeys, subscriptionKeys, gate: deps.gate },
      config,
    ),
    warmUp: async () => void (await Promise.all(all.map((keys) => keys.warmUp()))),
    close: async () => void (await Promise.all(all.map((keys) => keys.close()))),
  };
}
