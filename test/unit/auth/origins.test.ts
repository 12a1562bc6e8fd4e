import t from 'tap';
import { OriginPolicy } from '../../../src/auth/origins.ts';
import { ConfigError } from '../../../src/util/errors.ts';

t.test('an empty list refuses every request with an Origin', (t) => {
  const policy = new OriginPolicy([]);
  t.notOk(policy.allows('https://app.example.com'));
  t.notOk(policy.allows('null'));
  t.ok(policy.allows(undefined), 'a native client sends none');
  t.end();
});

t.test('a lone star allows all', (t) => {
  const policy = new OriginPolicy(['*']);
  t.ok(policy.allows('https://anything.example'));
  t.ok(policy.allows('null'));
  t.ok(policy.allows('capacitor://localhost'));
  t.end();
});

const cases: readonly (readonly [pattern: string, origin: string, allowed: boolean])[] = [
  ['https://app.example.com', 'https://app.example.com', true],
  ['https://app.example.com', 'https://APP.example.COM', true],
  ['HTTPS://App.Example.Com', 'https://app.example.com', true],
  ['https://app.example.com', 'http://app.example.com', false],
  ['https://app.example.com', 'https://app.example.com:8443', false],
  ['https://app.example.com', 'https://app.example.com.evil.test', false],
  ['https://app.example.com', 'https://appXexample.com', false],
  ['https://*.example.com', 'https://a.example.com', true],
  ['https://*.example.com', 'https://a.b.example.com', true],
  ['https://*.example.com', 'https://example.com', false],
  ['https://*.example.com', 'https://evil.test/.example.com', false],
  ['https://*.example.com', 'https://evil.test?.example.com', false],
  ['https://*.example.com', 'https://evil.test#.example.com', false],
  ['https://*.example.com', 'https://evil.test\\.example.com', false],
  ['https://*.example.com', 'https://user@x.example.com', false],
  ['*://localhost:*', 'http://localhost:3000', true],
  ['*://localhost:*', 'capacitor://localhost:1', true],
  ['*://localhost:*', 'http://localhost', false],
  ['https://app?.example.com', 'https://app1.example.com', true],
  ['https://app?.example.com', 'https://app12.example.com', false],
  ['https://app[0-3].example.com', 'https://app2.example.com', true],
  ['https://app[0-3].example.com', 'https://app4.example.com', false],
  ['https://app[!0-3].example.com', 'https://app4.example.com', true],
  ['https://app[!0-3].example.com', 'https://app1.example.com', false],
  ['https://{www,app}.example.com', 'https://app.example.com', true],
  ['https://{www,app}.example.com', 'https://api.example.com', false],
  ['https://[!].example.com', 'https://a.example.com', false],
  ['null', 'null', true],
  ['https://a.example', `https://a.example${'.'.repeat(1000)}`, false],
];

t.test('patterns', (t) => {
  for (const [pattern, origin, allowed] of cases) {
    t.equal(new OriginPolicy([pattern]).allows(origin), allowed, `${pattern} and ${origin.slice(0, 60)}`);
  }
  t.end();
});

t.test('a pattern that cannot be read is a configuration error', (t) => {
  t.throws(() => new OriginPolicy(['https://[z-a].example.com']), ConfigError);
  t.end();
});
