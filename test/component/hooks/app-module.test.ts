// The app module behind the interface that commands use.
import t, { type Test } from 'tap';
import { AppModule } from '../../../src/hooks/app/app-module.ts';
import type { Gateway } from '../../../src/hooks/app/gateway.ts';
import {
  type App,
  AppError,
  defineApp,
  Disconnect,
  GatewayError,
  rawJson,
} from '../../../src/hooks/app/public.ts';
import type { Subject } from '../../../src/hooks/application.ts';
import { HotCounters } from '../../../src/observe/hot-counters.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import { UnavailableError } from '../../../src/util/errors.ts';
import { deferred } from '../../helpers/deferred.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const subject: Subject = {
  client: 'c-1',
  user: '17',
  transport: 'websocket',
  protocol: 'json',
  meta: Buffer.from('{"plan":"x"}'),
  headers: { cookie: 'a=b' },
  emulatedHeaders: {},
};
const data = Buffer.from('{"big":9007199254740993}');
const buffer = (text: string): Buffer => Buffer.from(text);

// Handlers only pass it on here.
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
const gateway = { publish: async () => ({ offset: 7, epoch: 'e' }) } as unknown as Gateway;

async function setUp(t: Test, app: App, timeoutMs = 10_000) {
  const counters = new HotCounters();
  const lines: string[] = [];
  const log = createLogger({
    level: 'debug',
    role: 'worker',
    destination: { write: (line) => void lines.push(line) },
  });
  const clock = { monotonicMs: () => 0, wallMs: () => 0 };
  const module = new AppModule({ clock, log, counters, timeoutMs }, defineApp(app));
  await module.start(gateway);
  t.teardown(() => module.stop());
  const rpc = (method: string, payload: Buffer | undefined = data) =>
    module.rpc(method)?.({ subject, method, data: payload }) ?? Promise.reject(new Error('nobody to ask'));
  return { module, counters, lines, rpc };
}

t.test('handlers get what clients sent, and their answers come back', async (t) => {
  const seen: unknown[] = [];
  const { module, rpc } = await setUp(t, {
    connect(request, context) {
      seen.push(request, context.gateway === gateway);
      return {
        user: '42',
        expireAt: new Date(5_000),
        info: { name: 'Ann' },
        data: rawJson('{"big": 9007199254740993,\n"a":1}'),
        meta: { secret: 1 },
        channels: ['news'],
        subs: { chat: { info: [1], override: { presence: true, joinLeave: undefined } } },
      };
    },
    refresh: ({ caller }) => ({ expireAt: new Date(9_000), info: caller.user }),
    subscribe: async ({ channel, data }) => ({ data: { channel, data } }),
    publish: ({ text }) =>
      text === '"drop"' ? { drop: true } : { data: text, tags: { a: 'b' }, version: 3 },
    rpc: ({ method, bytes }) => ({ method, size: bytes?.length }),
    subRefresh: () => ({ expired: true }),
  });
  const caller = {
    client: 'c-1',
    user: '17',
    transport: 'websocket',
    protocol: 'json',
    meta: { plan: 'x' },
    headers: { cookie: 'a=b' },
    emulatedHeaders: {},
  };
  t.same(await module.connect?.({ subject, data, name: 'js', version: '5', channels: ['old'] }), {
    kind: 'yes',
    answer: {
      user: '42',
      expireAtMs: 5_000,
      info: buffer('{"name":"Ann"}'),
      data: buffer('{"big": 9007199254740993,"a":1}'),
      meta: buffer('{"secret":1}'),
      subs: new Map([
        ['news', { info: undefined, data: undefined, expireAtMs: 0, override: {} }],
        ['chat', { info: buffer('[1]'), data: undefined, expireAtMs: 0, override: { presence: true } }],
      ]),
    },
  });
  t.match(seen, [
    { caller, text: data.toString(), bytes: data, name: 'js', version: '5', channels: ['old'] },
    true,
  ]);
  t.same(await module.refresh?.(subject), {
    kind: 'yes',
    answer: { expired: false, expireAtMs: 9_000, info: buffer('"17"'), meta: undefined },
  });
  const subscribe = { subject, channel: 'news', token: '', data: buffer('[1]') };
  t.match(await module.subscribe?.(subscribe), {
    answer: { data: buffer('{"channel":"news","data":[1]}') },
  });
  t.match(await module.publish?.({ subject, channel: 'news', data: buffer('"drop"') }), {
    answer: { drop: true, data: undefined },
  });
  t.match(await module.publish?.({ subject, channel: 'news', data: buffer('7') }), {
    answer: { drop: false, data: buffer('"7"'), tags: { a: 'b' }, version: 3 },
  });
  t.same(await rpc('m'), { kind: 'yes', answer: buffer('{"method":"m","size":24}') });
  t.match(await module.subRefresh?.({ subject, channel: 'news' }), { answer: { expired: true } });
});

t.test('what has no handler is not asked about', async (t) => {
  const { module } = await setUp(t, {});
  for (const name of ['connect', 'refresh', 'subscribe', 'publish', 'subRefresh', 'message'] as const) {
    t.equal(module[name], undefined, name);
  }
  t.equal(module.rpc('m'), undefined);
});

t.test('who returns nothing refuses', async (t) => {
  const { module, rpc } = await setUp(t, {
    connect: () => undefined,
    refresh: () => null,
    subscribe: () => undefined,
    publish: () => null,
    subRefresh: async () => undefined,
    rpc: () => undefined,
  });
  const connect = { subject, data: undefined, name: '', version: '', channels: [] };
  t.match(await module.connect?.(connect), { kind: 'disconnect', cause: { code: 3501 } });
  t.match(await module.refresh?.(subject), { answer: { expired: true } });
  t.match(await module.subscribe?.({ subject, channel: 'a', token: '', data }), { error: { code: 103 } });
  t.match(await module.publish?.({ subject, channel: 'a', data }), { error: { code: 103 } });
  t.match(await module.subRefresh?.({ subject, channel: 'a' }), { answer: { expired: true } });
  t.same(await rpc('m'), { kind: 'yes', answer: undefined }, 'a call may have no result');
});

t.test('methods by name', async (t) => {
  const { rpc } = await setUp(t, {
    rpc: { add: ({ data }) => Number(data) + 1, bytes: () => new Uint8Array([1, 255]), nothing: () => null },
  });
  t.same(await rpc('add', buffer('41')), { kind: 'yes', answer: buffer('42') });
  t.same(await rpc('bytes'), { kind: 'yes', answer: Buffer.from([1, 255]) });
  t.same(await rpc('nothing'), { kind: 'yes', answer: buffer('null') });
  for (const method of ['unknown', 'toString', '__proto__']) {
    t.match(await rpc(method), { kind: 'error', error: { code: 104 } }, method);
  }
});

t.test('errors meant for the client reach it', async (t) => {
  const { rpc, lines, counters } = await setUp(t, {
    rpc: {
      no: () => {
        throw new AppError(1001, 'not yours', { temporary: true });
      },
      out: async () => {
        throw new Disconnect(4501, 'out');
      },
      // As the class of another copy of the package would be.
      copy: () => {
        const copy = new Error('copied');
        throw Object.assign(copy, { [Symbol.for('holdfast.app.verdict')]: 'error', code: 1002 });
      },
    },
  });
  t.same(await rpc('no'), { kind: 'error', error: { code: 1001, message: 'not yours', temporary: true } });
  t.match(await rpc('out'), { kind: 'disconnect', cause: { code: 4501, reason: 'out' } });
  t.same(await rpc('copy'), { kind: 'error', error: { code: 1002, message: 'copied', temporary: false } });
  t.same(lines, [], 'they are no faults');
  t.equal(counters.hookCalls.cell('rpc', 'error').value, 2);
  for (const code of [0, 99, 2000, 400.5, NaN]) t.throws(() => new AppError(code, ''), RangeError);
  for (const code of [1000, 2999, 5000]) t.throws(() => new Disconnect(code, ''), RangeError);
});

t.test('faults hurt their own command only, and are logged', async (t) => {
  const circle: Record<string, unknown> = {};
  circle['circle'] = circle;
  const { module, rpc, lines, counters } = await setUp(t, {
    // As plain JavaScript may do it.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    subscribe: (() => ({ expire_at: 5 })) as never,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    publish: (() => ({ tags: { a: 1 } })) as never,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    connect: (() => ({ user: 7 })) as never,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    refresh: (() => ({ expireAt: 5 })) as never,
    rpc: {
      throws: () => {
        throw new TypeError('undefined is not a function');
      },
      // oxlint-disable-next-line prefer-promise-reject-errors
      rejects: () => Promise.reject('text'),
      circle: () => circle,
      big: () => 1n,
      gateway: () => {
        throw new GatewayError(102, 'unknown channel', { temporary: false });
      },
      badRaw: () => rawJson('{'),
      fine: () => 1,
    },
  });
  const questions = [
    module.subscribe?.({ subject, channel: 'news', token: '', data }),
    module.publish?.({ subject, channel: 'news', data }),
    module.connect?.({ subject, data, name: '', version: '', channels: [] }),
    module.refresh?.(subject),
    ...['throws', 'rejects', 'circle', 'big', 'gateway', 'badRaw'].map((method) => rpc(method)),
  ];
  for (const asked of questions)
    await t.rejects(Promise.resolve<unknown>(asked).then(nothing), UnavailableError);
  t.equal(lines.length, questions.length);
  t.match(lines.join(''), /Unrecognized key.*expire_at/);
  t.match(lines.join(''), /"event":"rpc","client":"c-1","method":"throws".*undefined is not a function/);
  t.match(await rpc('fine'), { kind: 'yes' });
  t.equal(counters.hookCalls.cell('rpc', 'failed').value, 6);
});

t.test('a handler that takes too long', async (t) => {
  const late = deferred<string>();
  let signal: AbortSignal | undefined;
  const { rpc, lines, counters } = await setUp(
    t,
    {
      rpc: async (_, context) => {
        ({ signal } = context);
        await late.promise;
        throw new Error('even later');
      },
    },
    10,
  );
  await t.rejects(rpc('m'), UnavailableError);
  t.equal(signal?.aborted, true);
  t.equal(counters.hookCalls.cell('rpc', 'timeout').value, 1);
  t.match(lines, [/took longer than 10 ms/]);
  late.resolve('');
  await Promise.resolve();
  t.equal(lines.length, 1, 'what it does then is its own affair');
});

t.test('messages have no reply', async (t) => {
  const seen: unknown[] = [];
  const { module, lines } = await setUp(t, {
    message({ data }) {
      seen.push(data);
      if (data === 'out') throw new Disconnect(4000, 'out');
      if (data === 'no') throw new AppError(1000, 'no');
      if (data === 'fault') throw new Error('fault');
    },
  });
  for (const text of ['"fine"', '"no"', '"fault"', 'no json', '']) {
    t.same(await module.message?.(subject, buffer(text)), { kind: 'yes', answer: undefined });
  }
  t.match(await module.message?.(subject, buffer('"out"')), { kind: 'disconnect', cause: { code: 4000 } });
  t.same(seen, ['fine', 'no', 'fault', undefined, undefined, 'out']);
  t.equal(lines.length, 1);
});

t.test('notices', async (t) => {
  const seen: unknown[] = [];
  const { module, lines } = await setUp(t, {
    disconnect: (event) => void seen.push(['disconnect', event]),
    unsubscribe: async (event) => void seen.push(['unsubscribe', event]),
    channelOccupied: (event) => void seen.push(['occupied', event]),
    channelVacated: () => {
      throw new Error('fault');
    },
  });
  const left = { timeMs: 5, subject, code: 3000, reason: 'connection closed' };
  module.notify({ kind: 'disconnect', ...left });
  module.notify({ kind: 'unsubscribe', ...left, channel: 'news' });
  module.notify({ kind: 'channel_occupied', timeMs: 5, channel: 'news' });
  module.notify({ kind: 'channel_vacated', timeMs: 5, channel: 'news' });
  await waitFor('all of them', () => seen.length === 3 && lines.length === 1);
  const event = { caller: { client: 'c-1', user: '17' }, time: new Date(5), code: 3000 };
  t.match(seen, [
    ['disconnect', event],
    ['unsubscribe', { ...event, channel: 'news' }],
    ['occupied', { channel: 'news', time: new Date(5) }],
  ]);
  await module.stop();
  module.notify({ kind: 'channel_occupied', timeMs: 5, channel: 'news' });
  await Promise.resolve();
  t.equal(seen.length, 3, 'none after the stop');
});

t.test('a flood of notices for slow handlers is cut off', async (t) => {
  const gate = deferred<undefined>();
  let running = 0;
  const { module, lines, counters } = await setUp(t, {
    channelOccupied: async () => {
      running += 1;
      await gate.promise;
    },
  });
  for (let n = 0; n < 10_050; n += 1) module.notify({ kind: 'channel_occupied', timeMs: n, channel: 'a' });
  await waitFor('as many as may run', () => running === 10_000);
  t.equal(counters.notices.cell('dropped').value, 50);
  t.equal(lines.length, 1, 'said once');
  gate.resolve(undefined);
});

t.test('start and stop', async (t) => {
  const order: string[] = [];
  const { module } = await setUp(t, {
    start: async (given) => void order.push(`start ${given === gateway}`),
    stop: () => void order.push('stop'),
  });
  await module.stop();
  await module.stop();
  t.same(order, ['start true', 'stop']);
  const faulty = await setUp(t, {
    stop: () => {
      throw new Error('fault');
    },
  });
  await faulty.module.stop();
  t.equal(faulty.lines.length, 1);
  const broken = setUp(t, {
    start: () => {
      throw new Error('no database');
    },
  });
  await t.rejects(broken, { message: 'app.module: start failed: no database' });
});

const nothing = (): void => undefined;
