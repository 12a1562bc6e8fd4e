// The options `client.token.*` and `client.subscription_token.*`, resolved. An empty string means "not set".

export interface TokenConfig {
  readonly hmacSecretKey: string;
  readonly hmacPreviousSecretKey: string;
  /** Unix milliseconds; 0 means without end. */
  readonly hmacPreviousSecretKeyValidUntilMs: number;
  /** PEM. */
  readonly rsaPublicKey: string;
  /** PEM. */
  readonly ecdsaPublicKey: string;
  readonly jwksPublicEndpoint: string;
  readonly audience: string;
  readonly audienceRegex: string;
  readonly issuer: string;
  readonly issuerRegex: string;
  /** Claim that names the user instead of `sub`. */
  readonly userIdClaim: string;
  readonly insecureSkipJwksEndpointSafetyCheck: boolean;
}

export interface TokenVerifierConfig {
  readonly connection: TokenConfig;
  /** Separate keys of subscription tokens; undefined when `client.subscription_token.enabled` is off. */
  readonly subscription: TokenConfig | undefined;
  readonly insecureSkipTokenSignatureVerify: boolean;
}

export const NO_TOKEN_CONFIG: TokenConfig = Object.freeze({
  hmacSecretKey: '',
  hmacPreviousSecretKey: '',
  hmacPreviousSecretKeyValidUntilMs: 0,
  rsaPublicKey: '',
  ecdsaPublicKey: '',
  jwksPublicEndpoint: '',
  audience: '',
  audienceRegex: '',
  issuer: '',
  issuerRegex: '',
  userIdClaim: '',
  insecureSkipJwksEndpointSafetyCheck: false,
});
