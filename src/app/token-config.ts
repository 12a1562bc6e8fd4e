// From `client.token` and `client.subscription_token` as written to what the verifier takes.
import type { TokenConfig, TokenVerifierConfig } from '../auth/token-config.ts';
import type { Config } from '../config/schema.ts';
import type { TokenConfig as TokenSection } from '../config/sections/token.ts';

export function tokenVerifierConfig(client: Config['client']): TokenVerifierConfig {
  return {
    connection: toTokenConfig(client.token),
    subscription: client.subscription_token.enabled ? toTokenConfig(client.subscription_token) : undefined,
    insecureSkipTokenSignatureVerify: client.insecure_skip_token_signature_verify,
  };
}

function toTokenConfig(section: TokenSection): TokenConfig {
  return {
    hmacSecretKey: section.hmac_secret_key,
    hmacPreviousSecretKey: section.hmac_previous_secret_key,
    hmacPreviousSecretKeyValidUntilMs: section.hmac_previous_secret_key_valid_until * 1_000,
    rsaPublicKey: section.rsa_public_key,
    ecdsaPublicKey: section.ecdsa_public_key,
    jwksPublicEndpoint: section.jwks_public_endpoint,
    audience: section.audience,
    audienceRegex: section.audience_regex,
    issuer: section.issuer,
    issuerRegex: section.issuer_regex,
    userIdClaim: section.user_id_claim,
    insecureSkipJwksEndpointSafetyCheck: section.insecure_skip_jwks_endpoint_safety_check,
  };
}
