import t from 'tap';
import { configSchema } from '../../../src/config/schema.ts';

function problems(rate_limit: unknown): string[] {
  const parsed = configSchema.safeParse({ client: { rate_limit } });
  return parsed.success ? [] : parsed.error.issues.map(({ path }) => path.join('.'));
}

t.test('what a configuration may say about limits', async (t) => {
  t.same(problems({ connection: [{ command: 'publish', rate: 5, interval: '1m', burst: 10 }] }), []);
  t.same(problems({ user: [{ command: 'default', rate: 1 }], bytes_per_second: 10_000 }), []);
  t.same(problems({ connection: [{ command: 'connect', rate: 1 }] }), [
    'client.rate_limit.connection.0.command',
  ]);
  t.same(problems({ connection: [{ command: 'publish' }] }), ['client.rate_limit.connection.0.rate']);
  t.same(problems({ connection: [{ command: 'publish', rate: 0 }] }), [
    'client.rate_limit.connection.0.rate',
  ]);
  t.same(problems({ connection: [{ command: 'publish', rate: 1, interval: '0s' }] }), [
    'client.rate_limit.connection.0.interval',
  ]);
  const twice = { command: 'publish', rate: 1 };
  t.same(problems({ user: [twice, { command: 'rpc', rate: 1 }, twice] }), [
    'client.rate_limit.user.2.command',
  ]);
});
