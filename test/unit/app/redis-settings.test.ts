import t from 'tap';
import { redisSettings } from '../../../src/app/redis-settings.ts';
import { configSchema } from '../../../src/config/schema.ts';
import type { RedisTarget } from '../../../src/engine/redis/settings.ts';

function targets(redis: Readonly<Record<string, unknown>>): readonly RedisTarget[] {
  const config = configSchema.parse({ engine: { type: 'redis', redis } });
  return redisSettings(config.engine.redis).targets;
}

const NOBODY = { username: undefined, password: undefined, tls: undefined };

t.test('addresses of servers', async (t) => {
  t.same(targets({}), [{ kind: 'server', host: '127.0.0.1', port: 6379, db: 0, ...NOBODY }]);
  t.match(targets({ address: ['redis://u:p@a:1/2', 'unix:///r.sock'], user: 'own', db: 3 }), [
    { kind: 'server', host: 'a', port: 1, db: 2, username: 'u', password: 'p' },
    { kind: 'socket', path: '/r.sock', db: 3, username: 'own', password: undefined },
  ]);
});

t.test('sentinels have credentials of their own', async (t) => {
  const found = targets({
    sentinel_address: 'a, rediss://b:5',
    sentinel_master_name: 'm',
    sentinel_password: 'theirs',
    password: 'own',
    db: 1,
  });
  const theirs = { username: undefined, password: 'theirs', kind: 'server' };
  t.match(found, [
    {
      kind: 'sentinel',
      masterName: 'm',
      db: 1,
      password: 'own',
      tls: undefined,
      sentinels: [
        { ...theirs, host: 'a', port: 26_379, tls: undefined },
        { ...theirs, host: 'b', port: 5, tls: { rejectUnauthorized: true } },
      ],
    },
  ]);
});

t.test('a cluster', async (t) => {
  t.match(targets({ cluster_address: ['rediss://u:p@a:1', 'b:2'], tls: { enabled: true } }), [
    {
      kind: 'cluster',
      username: 'u',
      password: 'p',
      tls: { rejectUnauthorized: true },
      seeds: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
    },
  ]);
});
