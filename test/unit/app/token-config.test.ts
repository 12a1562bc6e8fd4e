import t from 'tap';
import { tokenVerifierConfig } from '../../../src/app/token-config.ts';
import { resolveConfig } from '../../../src/config/load.ts';
import type { Tree } from '../../../src/config/tree.ts';

const verifier = (client: Tree) =>
  tokenVerifierConfig(resolveConfig({ environment: {} }, { tree: { client }, locate: () => 'test' }).client);

t.test('keys of connection tokens serve subscription tokens too, unless those have their own', async (t) => {
  const token = {
    hmac_secret_key: 'a',
    hmac_previous_secret_key: 'b',
    hmac_previous_secret_key_valid_until: 7,
  };
  const shared = verifier({ token, subscription_token: { hmac_secret_key: 'c' } });
  t.equal(shared.subscription, undefined);
  t.match(shared.connection, {
    hmacSecretKey: 'a',
    hmacPreviousSecretKey: 'b',
    hmacPreviousSecretKeyValidUntilMs: 7_000,
  });
  const separate = verifier({
    token,
    subscription_token: { enabled: true, hmac_secret_key: 'c', audience: 'd' },
  });
  t.match(separate.subscription, { hmacSecretKey: 'c', audience: 'd' });
  t.equal(separate.insecureSkipTokenSignatureVerify, false);
});
