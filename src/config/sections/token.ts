// How connection and subscription tokens (JWT) are verified.
import { createPublicKey } from 'node:crypto';
import { z } from 'zod';
import { flag, httpUrl, integer, pattern, secret, section, text } from '../fields.ts';

const publicKey = (about: string, type: 'rsa' | 'ec') =>
  z
    .string()
    .refine((pem) => pem === '' || keyType(pem) === type, {
      error: `expected a PEM public key of type ${type.toUpperCase()}`,
    })
    .prefault('')
    .meta({ description: about });

function keyType(pem: string): string | undefined {
  try {
    return createPublicKey(pem).asymmetricKeyType;
  } catch {
    return undefined;
  }
}

const verification = {
  hmac_secret_key: secret('Secret of HS256, HS384 and HS512 tokens.'),
  hmac_previous_secret_key: secret('The secret before a change: its tokens stay valid during the overlap.'),
  hmac_previous_secret_key_valid_until: integer(
    'Unix time in seconds until which the previous secret is accepted. 0: no end.',
    0,
  ),
  rsa_public_key: publicKey('Public key (PEM) of RS256, RS384 and RS512 tokens.', 'rsa'),
  ecdsa_public_key: publicKey('Public key (PEM) of ES256, ES384 and ES512 tokens.', 'ec'),
  jwks_public_endpoint: httpUrl('Address of a JSON Web Key Set; replaces the public keys above.'),
  audience: text('The token must be for this audience (`aud`). Empty: not checked.'),
  audience_regex: pattern('The audience must match this. Not together with `audience`.'),
  issuer: text('The token must come from this issuer (`iss`). Empty: not checked.'),
  issuer_regex: pattern('The issuer must match this. Not together with `issuer`.'),
  user_id_claim: text('Claim that holds the user id. Empty: `sub`.'),
  insecure_skip_jwks_endpoint_safety_check: flag('Allow a JWKS address without TLS on another machine.'),
};

export const token = section(
  'Keys and checks of connection tokens (and of subscription tokens, unless separate).',
  {
    ...verification,
  },
);

export const subscriptionToken = section('Separate keys and checks for subscription tokens.', {
  enabled: flag('Use this section for subscription tokens, and `client.token` for connection tokens only.'),
  ...verification,
});

export type TokenConfig = z.output<typeof token>;
