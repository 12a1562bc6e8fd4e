import t from 'tap';
import { OriginPolicy } from '../../../src/auth/origins.ts';
import type { Config } from '../../../src/config/schema.ts';
import { cliRun, type CliRun } from '../../helpers/cli-run.ts';

async function serve(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<CliRun & { config: Config | undefined }> {
  let config: Config | undefined;
  const run = await cliRun(['serve', ...args], {
    environment,
    serve: (given) => {
      config = given;
      return Promise.resolve();
    },
  });
  return { ...run, config };
}

t.test('flags are stronger than the environment, and name themselves when they are wrong', async (t) => {
  const { code, config } = await serve(
    ['--port', '0', '--address', '127.0.0.1', '--workers', '2', '--log-level', 'debug', '--set', 'workers=3'],
    { HOLDFAST_HTTP_SERVER_PORT: '9000', HOLDFAST_CLIENT_CHANNEL_LIMIT: '7' },
  );
  t.equal(code, 0);
  t.match(config, {
    http_server: { port: 0, address: '127.0.0.1' },
    workers: 3,
    log: { level: 'debug' },
    client: { channel_limit: 7 },
  });
  const wrong = await serve(['--port', 'http', '--log-level', 'dbug']);
  t.match(wrong, { code: 78, config: undefined });
  t.match(wrong.err, '--port: http_server.port = "http": expected a port from 0 to 65535');
  t.match(wrong.err, '(did you mean "debug"?)');
});

t.test('without any configuration it starts, and says what to do next', async (t) => {
  const { code, config, err, out } = await serve([]);
  t.equal(code, 0);
  t.equal(out, '');
  t.match(config, { http_server: { port: 8000 }, client: { insecure: false } });
  t.match(err, /^hint: nobody can connect yet/);
  t.match(err, 'holdfast serve --dev');
  const keyed = await serve([], { HOLDFAST_CLIENT_TOKEN_HMAC_SECRET_KEY: 's'.repeat(32) });
  t.equal(keyed.err, '');
});

t.test('development mode opens everything, on this machine only, and says so', async (t) => {
  const { config, err } = await serve(['--dev']);
  t.match(config, {
    http_server: { address: '127.0.0.1', port: 8000 },
    client: { insecure: true },
    http_api: { insecure: true },
  });
  t.match(err, /^development mode: /);
  t.notMatch(err, 'hint');
  const origins = new OriginPolicy(config?.client.allowed_origins ?? []);
  for (const origin of [
    'http://localhost:3000',
    'http://localhost',
    'http://127.0.0.1:8080',
    'https://localhost:3000',
    'null',
  ]) {
    t.equal(origins.allows(origin), true, origin);
  }
  for (const origin of ['http://localhost.example', 'https://example.com', 'http://127.0.0.1.example:80']) {
    t.equal(origins.allows(origin), false, origin);
  }
  const elsewhere = await serve(['--dev', '--set', 'http_api.insecure=false', '--port', '9000']);
  t.match(elsewhere.config, { http_api: { insecure: false }, http_server: { port: 9000 } });
});

t.test('dangerous settings are named at every start', async (t) => {
  const { err } = await serve(['--set', 'client.insecure=true', '--set', 'client.allowed_origins=*']);
  t.match(err, 'warning: client.insecure anybody may connect');
  t.match(err, 'warning: client.allowed_origins any web page');
  t.notMatch(err, 'internal_port');
});
