// `holdfast drain` and its orders, against a control socket that answers as a gateway does.
import { join } from 'node:path';
import t from 'tap';
import { type ControlMethod, ControlServer } from '../../../src/cluster/control/control-server.ts';
import { DrainError } from '../../../src/cluster/drain/drain.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import { cliRun } from '../../helpers/cli-run.ts';
import { deferred } from '../../helpers/deferred.ts';
import { draining } from '../../helpers/drain-progress.ts';
import type { Scope } from '../../helpers/scope.ts';
import { tempDir } from '../../helpers/temp-dir.ts';

async function startControl(
  scope: Scope,
  methods: Readonly<Record<string, ControlMethod>>,
): Promise<Record<string, string>> {
  const path = join(await tempDir(scope), 'control.sock');
  const server = new ControlServer({ logger: createLogger({ level: 'silent', role: 'primary' }), methods });
  await server.listen(path);
  scope.teardown(() => server.close());
  return { HOLDFAST_CONTROL_SOCKET: path };
}

t.test('shows a line for every tenth, and the end', async (t) => {
  const asked: unknown[] = [];
  const environment = await startControl(t, {
    drain: (params, progress) => {
      asked.push(params);
      progress(draining({ state: 'announcing' }));
      for (const closed of [2, 3, 20]) progress(draining({ closed }));
      return draining({ state: 'drained', closed: 20 });
    },
  });
  t.same(await cliRun(['drain'], { environment }), {
    code: 0,
    out: 'drained: the gateway runs without clients\n',
    err: [
      'waiting until load balancers know: 20 connections, to be closed over 2s at the 10/s that other hosts take',
      'closing: 2 of 20 closed, 18 to go, 10/s, 2s left; window 2s at the 10/s that other hosts take',
      'closing: 20 of 20 closed, 0 to go, 10/s, 0s left; window 2s at the 10/s that other hosts take',
      '',
    ].join('\n'),
  });
  const asJson = await cliRun(['drain', '--json', '--window', '5m', '--exit'], { environment });
  t.same(
    asJson.out
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line)),
    [
      draining({ state: 'announcing' }),
      ...[2, 3, 20].map((closed) => draining({ closed })),
      draining({ state: 'drained', closed: 20 }),
    ],
  );
  t.same(asked, [
    { windowMs: null, ends: false },
    { windowMs: 300_000, ends: true },
  ]);
});

t.test('gives orders to a drain that is under way', async (t) => {
  const environment = await startControl(t, {
    'drain-pause': () => draining({ state: 'paused', closed: 5 }),
    'drain-status': () =>
      draining({
        state: 'serving',
        total: 900,
        window: { neededMs: 90_000, windowMs: 26_000, limitMs: 26_000, chosenMs: null },
      }),
    'drain-abort': () => {
      throw new DrainError('no drain is under way');
    },
    'drain-hurry': () =>
      draining({
        window: { neededMs: 90_000, windowMs: 5000, limitMs: null, chosenMs: 5000 },
        perSecond: 0,
        leftMs: null,
      }),
    'drain-resume': () => draining({ state: 'ending', closed: 20 }),
  });
  t.match(await cliRun(['drain', '--pause'], { environment }), {
    code: 0,
    out: 'paused: 5 of 20 closed, 15 to go; go on with --resume, take it back with --abort\n',
  });
  const { out } = await cliRun(['drain', '--pause', '--json'], { environment });
  t.same(JSON.parse(out), draining({ state: 'paused', closed: 5 }));
  t.match(await cliRun(['drain', '--status'], { environment }), {
    out: 'serving 900 connections: a drain takes 1m 30s at the 10/s that other hosts take, has 26s after a signal\n',
  });
  t.match(await cliRun(['drain', '--hurry'], { environment }), {
    out: 'closing: 0 of 20 closed, 20 to go; window 5s as asked, needs 1m 30s at the 10/s that other hosts take\n',
  });
  t.match(await cliRun(['drain', '--resume'], { environment }), {
    out: 'ending: 20 of 20 closed, 0 to go\n',
  });
  t.match(await cliRun(['drain', '--abort'], { environment }), { code: 1, err: /no drain is under way/ });
  t.match(await cliRun(['drain', '--abort', '--pause'], { environment }), {
    code: 2,
    err: /cannot be used with/,
  });
  t.match(await cliRun(['drain', '--window', 'soon'], { environment }), {
    code: 2,
    err: /Expected a duration/,
  });
});

t.test('a drain that somebody takes back ends with 1', async (t) => {
  const environment = await startControl(t, {
    drain: () => {
      throw new DrainError('the drain was taken back: this host serves again');
    },
  });
  t.match(await cliRun(['drain'], { environment }), { code: 1, err: /taken back: this host serves again/ });
});

const LISTENERS = process.listenerCount('SIGINT');

/** As Ctrl-C, as soon as the command listens: it runs in this very process, which others would end. */
function interrupt(): void {
  if (process.listenerCount('SIGINT') > LISTENERS) process.emit('SIGINT');
  else setImmediate(interrupt);
}

t.test('interrupted at a terminal it asks what to do', async (t) => {
  const drained = deferred<unknown>();
  const orders: string[] = [];
  const environment = await startControl(t, {
    drain: (_params, progress) => {
      progress(draining());
      setImmediate(interrupt);
      return drained.promise;
    },
    'drain-pause': () => {
      orders.push('pause');
      setImmediate(interrupt);
    },
    'drain-hurry': () => {
      orders.push('hurry');
      drained.resolve(draining({ state: 'drained', closed: 20 }));
    },
  });
  const answers = ['watch', 'p', 'H'];
  const questions: string[] = [];
  const ask = (question: string): Promise<string> => {
    questions.push(question);
    const answer = answers.shift() ?? '';
    if (answer === 'watch') setImmediate(interrupt);
    return Promise.resolve(answer);
  };
  t.match(await cliRun(['drain'], { environment, ask, isTTY: true }), {
    code: 0,
    out: 'drained: the gateway runs without clients\n',
  });
  t.same(orders, ['pause', 'hurry']);
  t.equal(questions.length, 3);
  t.match(questions[0], /\[p\]ause, \[h\]urry, \[a\]bort, \[l\]eave it going/);
});

t.test(
  'interrupted without a terminal, or without an answer, it leaves the drain to the gateway',
  async (t) => {
    const environment = await startControl(t, {
      drain: (_params, progress) => {
        progress(draining());
        setImmediate(interrupt);
        return new Promise(() => undefined);
      },
    });
    for (const ask of [undefined, () => Promise.resolve('')]) {
      t.match(await cliRun(['drain'], { environment, ask }), {
        code: 1,
        err: /the drain goes on without this command: see `holdfast drain --status`/,
      });
    }
  },
);
