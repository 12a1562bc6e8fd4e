import t from 'tap';
import { resolveConfig } from '../../../src/config/load.ts';
import type { Tree } from '../../../src/config/tree.ts';
import { configWarnings, permitsNobody } from '../../../src/config/warnings.ts';

const resolve = (tree: Tree) => resolveConfig({ environment: {} }, { tree, locate: () => 'test' });
const quiet: Tree = { http_server: { internal_port: 9000 } };

t.test('risky settings are named', async (t) => {
  const table: readonly (readonly [tree: Tree, expected: string[]])[] = [
    [quiet, []],
    [{}, ['http_server.internal_port']],
    [{ http_api: { disabled: true, insecure: true }, prometheus: { enabled: false } }, []],
    [{ ...quiet, client: { insecure: true } }, ['client.insecure']],
    [{ ...quiet, client: { allowed_origins: ['https://a.example', '*'] } }, ['client.allowed_origins']],
    [
      { ...quiet, client: { insecure_skip_token_signature_verify: true, user_id_http_header: 'X-User' } },
      ['client.insecure_skip_token_signature_verify', 'client.user_id_http_header'],
    ],
    [{ ...quiet, http_api: { insecure: true } }, ['http_api.insecure']],
    [{ ...quiet, http_api: { key: 'k'.repeat(15) } }, ['http_api.key']],
    [{ ...quiet, http_api: { key: 'k'.repeat(16) } }, []],
    [{ ...quiet, client: { token: { hmac_secret_key: 's'.repeat(31) } } }, ['client.token.hmac_secret_key']],
    [{ ...quiet, client: { token: { hmac_secret_key: 's'.repeat(32) } } }, []],
    [
      { ...quiet, channel: { without_namespace: { allow_recovery: true } } },
      ['channel.without_namespace.allow_recovery'],
    ],
    [
      { ...quiet, channel: { namespaces: [{ name: 'chat', delta_publish: true }] } },
      ['channel.namespaces[0].delta_publish'],
    ],
  ];
  for (const [tree, expected] of table) {
    t.same(
      configWarnings(resolve(tree)).map(({ option }) => option),
      expected,
      JSON.stringify(tree),
    );
  }
});

t.test('a configuration that lets nobody in is recognised', async (t) => {
  t.equal(permitsNobody(resolve({})), true);
  const open: readonly Tree[] = [
    { client: { insecure: true } },
    { client: { token: { hmac_secret_key: 's' } } },
    { client: { token: { jwks_public_endpoint: 'https://a.example' } } },
    { client: { allow_anonymous_connect_without_token: true } },
    { client: { insecure_skip_token_signature_verify: true } },
    { client: { user_id_http_header: 'X-User' } },
    { client: { proxy: { connect: { enabled: true, endpoint: 'http://a' } } } },
    { channel: { namespaces: [{ name: 'chat' }] } },
  ];
  for (const tree of open) t.equal(permitsNobody(resolve(tree)), false, JSON.stringify(tree));
});
