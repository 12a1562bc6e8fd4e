import t from 'tap';
import { resolveConfig } from '../../../src/config/load.ts';
import { expectDistinctNames, parseBalance, parseHost } from '../../../src/front/front-options.ts';
import { frontTimeouts } from '../../../src/front/timeouts.ts';

const DEFAULTS = { port: 8000, healthPort: 9000, agentPort: undefined };

t.test('hosts as they are written', async (t) => {
  const server = (written: string): unknown => parseHost(written, 3, DEFAULTS).servers;
  const common = { name: 'host3', isUnix: false, healthPort: 9000, agentPort: undefined };
  t.same(server('10.0.0.1'), [{ ...common, address: '10.0.0.1:8000' }]);
  t.same(server('gw.example.com:81'), [{ ...common, address: 'gw.example.com:81' }]);
  t.same(server('[fd00::1]'), [{ ...common, address: '[fd00::1]:8000' }]);
  t.same(server('10.0.0.1/agent=7/health=8'), [
    { ...common, address: '10.0.0.1:8000', agentPort: 7, healthPort: 8 },
  ]);
  t.same(server('unix:/run/a/b.sock/agent=7'), [
    { ...common, address: 'unix@/run/a/b.sock', isUnix: true, agentPort: 7 },
  ]);
  t.match(parseHost('east=10.0.0.1,10.0.0.1:8001', 1, DEFAULTS), {
    name: 'east',
    servers: [
      { name: 'east-blue', address: '10.0.0.1:8000' },
      { name: 'east-green', address: '10.0.0.1:8001' },
    ],
  });
});

t.test('hosts that nobody could mean', async (t) => {
  for (const written of [
    '',
    'a b',
    '10.0.0.1,',
    'a,b,c',
    'unix:relative',
    'host:port',
    '$(id)',
    'x"y',
    'a\nb',
  ]) {
    t.throws(() => parseHost(written, 1, DEFAULTS), { code: 'HOLDFAST_CONFIG' }, written);
  }
});

t.test('mistakes that people make are named', async (t) => {
  const says = (written: string, message: RegExp): void => {
    t.throws(() => parseHost(written, 1, DEFAULTS), { message }, written);
  };
  says('http://10.0.0.1:8000', /without the scheme/);
  says('fd00::1', /in brackets: \[fd00::1\]/);
  says('::1', /in brackets/);
  says('10.0.0.1,10.0.0.2,10.0.0.3', /hosts have a space between them/);
  says('10.0.0.1:0', /0 is no port/);
  says('10.0.0.1:65536', /65536 is no port/);
  says('10.0.0.1/agent=99999', /99999 is no port/);
  says('unix:gateway.sock', /begins with \//);
  says('', /^host '': write ADDRESS/);
  const hosts = ['a=10.0.0.1', 'b=10.0.0.1', 'a=10.0.0.2'].map((written) => parseHost(written, 1, DEFAULTS));
  t.throws(() => expectDistinctNames(hosts), { message: /two servers are named a:/ });
  t.doesNotThrow(() => expectDistinctNames(hosts.slice(0, 2)));
});

t.test('ways to balance', async (t) => {
  t.same(parseBalance('leastconn'), { kind: 'leastconn' });
  t.same(parseBalance('cookie'), { kind: 'cookie', name: 'HOLDFAST' });
  t.same(parseBalance('header:X-Room'), { kind: 'header', name: 'X-Room' });
  for (const written of ['', 'random', 'header', 'url_param:', 'url_param:a b', 'source:x']) {
    t.throws(() => parseBalance(written), { code: 'HOLDFAST_CONFIG' }, written);
  }
});

function timeouts(client: object): unknown {
  return frontTimeouts(resolveConfig({ environment: {} }, { tree: { client }, locate: () => 'test' }));
}

t.test('time-outs follow from the ping interval', async (t) => {
  t.same(timeouts({}), { pingS: 25, idleS: 30, tunnelS: 75, tcpUserS: 40 });
  t.same(timeouts({ ping_interval: '1m', pong_timeout: '10s' }), {
    pingS: 60,
    idleS: 65,
    tunnelS: 180,
    tcpUserS: 84,
  });
  t.match(timeouts({ ping_interval: '5s', pong_timeout: '2s' }), { idleS: 30, tunnelS: 15 });
});
