// The control socket: questions, progress, errors, and who may ask.
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { connectControl } from '../../../src/cluster/control/control-client.ts';
import { type ControlMethod, ControlServer } from '../../../src/cluster/control/control-server.ts';
import { ColourService } from '../../../src/deploy/colour-service.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import { ConfigError } from '../../../src/util/errors.ts';
import { deferred } from '../../helpers/deferred.ts';
import type { Scope } from '../../helpers/scope.ts';
import { tempDir } from '../../helpers/temp-dir.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const logger = createLogger({ level: 'silent', role: 'primary' });

async function serve(
  scope: Scope,
  methods: Readonly<Record<string, ControlMethod>>,
): Promise<{ server: ControlServer; path: string }> {
  const path = join(await tempDir(scope), 'own', 'control.sock');
  const server = new ControlServer({ logger, methods });
  await server.listen(path);
  scope.teardown(() => server.close());
  return { server, path };
}

t.test('answers, with progress before', async (t) => {
  const { path } = await serve(t, {
    echo: (params) => params,
    slow: async (_params, progress) => {
      progress({ done: 1 });
      await Promise.resolve();
      progress({ done: 2 });
    },
  });
  const client = await connectControl(path);
  t.teardown(() => client.close());
  const steps: unknown[] = [];
  const [echo, slow] = await Promise.all([
    client.request('echo', { text: 'ü'.repeat(50_000 / 2) }),
    client.request('slow', null, (step) => steps.push(step)),
  ]);
  t.match(echo, { text: /^ü+$/ });
  t.equal(slow, null);
  t.same(steps, [{ done: 1 }, { done: 2 }]);
});

t.test('errors keep their code', async (t) => {
  const { path } = await serve(t, {
    bad: () => {
      throw new ConfigError('workers: expected a number');
    },
    broken: () => Promise.reject(new Error('it broke')),
  });
  const client = await connectControl(path);
  t.teardown(() => client.close());
  await t.rejects(client.request('bad'), { code: 'HOLDFAST_CONFIG', message: 'workers: expected a number' });
  await t.rejects(client.request('broken'), { code: 'HOLDFAST_INTERNAL', message: 'it broke' });
  await t.rejects(client.request('toString'), { code: 'HOLDFAST_METHOD' });
});

t.test('who is there and hangs is not waited for, unless it reports progress', async (t) => {
  const end = deferred<string>();
  const { path } = await serve(t, { status: () => deferred<void>().promise, drain: () => end.promise });
  const client = await connectControl(path, 20);
  t.teardown(() => client.close());
  const drained = client.request('drain', null, () => undefined);
  await t.rejects(client.request('status'), { code: 'HOLDFAST_UNAVAILABLE', message: /does not answer/ });
  const service = new ColourService({
    colour: 'blue',
    controlSocket: `${path}.elsewhere`,
    startCommand: '',
    stopCommand: '',
  });
  t.equal(await service.status(), undefined, 'nobody is there');
  end.resolve('drained');
  t.equal(await drained, 'drained');
});

t.test('what is no request is answered and cut', async (t) => {
  const { path } = await serve(t, {});
  for (const [sent, expected] of [
    ['{"method":"status"}\n', /expected \{id, method, params\}/],
    ['nonsense\n', /HOLDFAST_REQUEST/],
    ['x'.repeat(100_000), /line too long/],
  ] as const) {
    const socket = connect(path);
    let received = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text;
    });
    socket.on('error', () => undefined);
    socket.write(sent);
    await waitFor('the answer', () => expected.test(received));
    socket.destroy();
  }
});

t.test('is for this user alone, and gone afterwards', async (t) => {
  const { server, path } = await serve(t, {});
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
  await server.close();
  await server.close();
  t.notOk(existsSync(path));
  await t.rejects(connectControl(path), { code: 'HOLDFAST_UNAVAILABLE' });
});

t.test('whoever waits for the end hears of it', async (t) => {
  const end = deferred<string>();
  const { server, path } = await serve(t, {
    drain: () => end.promise,
    never: () => deferred<void>().promise,
  });
  const client = await connectControl(path);
  const drained = client.request('drain', null, () => undefined);
  const never = client.request('never', null, () => undefined);
  await waitFor('the requests to arrive', () => client.request('x').catch(() => true));
  end.resolve('drained');
  const closed = server.close();
  t.equal(await drained, 'drained');
  await t.rejects(never, { code: 'HOLDFAST_UNAVAILABLE' });
  await closed;
  await t.rejects(client.request('drain'), { code: 'HOLDFAST_UNAVAILABLE' });
});

t.test('a stale socket is replaced, a served one or another file is not', async (t) => {
  const directory = await tempDir(t);
  const path = join(directory, 'control.sock');
  const other = createServer().listen(path);
  await once(other, 'listening');
  t.teardown(() => other.close());
  const server = new ControlServer({ logger, methods: {} });
  await t.rejects(server.listen(path), { code: 'HOLDFAST_UNAVAILABLE', message: /already/ });

  const file = join(directory, 'file');
  writeFileSync(file, 'precious');
  await t.rejects(server.listen(file), { code: 'HOLDFAST_CONFIG', message: /not a socket/ });
  await server.close();
});
