// What HAProxy says of its servers, and which of them are a pair. The real one speaks in test/ops/deploy.test.ts.
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { findPair, HaproxyRuntime, pairIn, parseServers } from '../../../src/deploy/haproxy-runtime.ts';
import { tempDir } from '../../helpers/temp-dir.ts';

const CSV = [
  '# pxname,svname,qcur,qmax,scur,status,weight,',
  'wss,FRONTEND,,,3,OPEN,,',
  'holdfast,a-blue,0,0,2,UP 1/3,100,',
  'holdfast,a-green,0,0,0,DRAIN (agent),0,',
  'holdfast,BACKEND,0,0,2,UP,100,',
  'holdfast_api,a-blue,0,0,1,UP,1,',
  '',
].join('\n');

const server = (name: string): { name: string; status: string; sessions: number } => ({
  name,
  status: 'UP',
  sessions: 0,
});

t.test('servers of one backend', async (t) => {
  t.same(parseServers(CSV, 'holdfast'), [
    { name: 'a-blue', status: 'UP 1/3', sessions: 2 },
    { name: 'a-green', status: 'DRAIN (agent)', sessions: 0 },
  ]);
  t.same(parseServers(CSV, 'elsewhere'), []);
});

t.test('who is up, and who has clients', async (t) => {
  t.same(pairIn([...parseServers(CSV, 'holdfast'), server('b-blue')], 'a'), [
    { colour: 'blue', isUp: false, sessions: 2 },
    { colour: 'green', isUp: false, sessions: 0 },
  ]);
  t.same(pairIn([server('a-green')], 'a'), [{ colour: 'green', isUp: true, sessions: 0 }]);
});

t.test('the pair', async (t) => {
  const two = ['a-blue', 'a-green', 'b-blue', 'b-green', 'c', 'd-blue'].map(server);
  t.same(findPair(two.slice(0, 2), undefined), { host: 'a' });
  t.same(findPair(two, 'b'), { host: 'b' });
  t.match(findPair(two, undefined), /several pairs.*a, b/);
  t.match(findPair(two, 'd'), /no servers d-blue and d-green/);
  t.match(findPair(two.slice(4), undefined), /no pair/);
});

t.test('commands, and what is wrong with them', async (t) => {
  const path = join(await tempDir(t), 'admin.sock');
  const heard: string[] = [];
  const haproxy = createServer((socket) => {
    socket.setEncoding('utf8').once('data', (line: string) => {
      heard.push(line);
      const isKnown = line.includes(' b/known');
      socket.end(
        line.startsWith('enable agent')
          ? 'Agent was not configured on this server\n'
          : isKnown
            ? '\n'
            : 'No such server.\n',
      );
    });
  });
  haproxy.listen(path);
  t.teardown(() => haproxy.close());
  const runtime = new HaproxyRuntime(path);
  await runtime.release('b/known');
  await runtime.hold('b/known');
  await runtime.retire('b/known');
  t.same(heard, [
    'set server b/known state ready\n',
    'enable agent b/known\n',
    'disable agent b/known\n',
    'set server b/known state drain\n',
    'disable agent b/known\n',
    'set server b/known state maint\n',
  ]);
  await t.rejects(runtime.hold('b/other'), { code: 'HOLDFAST_UNAVAILABLE', message: /No such server/ });
  await t.rejects(new HaproxyRuntime(`${path}.not`).servers('b'), { message: /ENOENT/ });
  await t.rejects(new HaproxyRuntime('127.0.0.1:1').servers('b'), { message: /ECONNREFUSED/ });
});
