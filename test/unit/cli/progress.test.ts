import t from 'tap';
import { ProgressDisplay, type ProgressFormat } from '../../../src/cli/progress.ts';

interface Report {
  readonly step: string;
  readonly count: number;
}

const format: ProgressFormat<Report> = {
  isReport: (value): value is Report => typeof value === 'object' && value !== null && 'count' in value,
  text: ({ step, count }) => `${step}: ${count}`,
  step: ({ step }) => step,
};

function shown(run: (out: string[], err: string[]) => void): { out: string; err: string } {
  const out: string[] = [];
  const err: string[] = [];
  run(out, err);
  return { out: out.join(''), err: err.join('') };
}

function display(out: string[], err: string[], isTTY: boolean, json?: true): ProgressDisplay<Report> {
  const deps = {
    stdout: { write: (text: string) => out.push(text) },
    stderr: { isTTY, write: (text: string) => err.push(text) },
  };
  return new ProgressDisplay(deps, format, json === undefined ? {} : { json });
}

t.test('rewrites one line on a terminal, and takes it away', (t) => {
  const { out, err } = shown((out, err) => {
    const progress = display(out, err, true);
    progress.show({ step: 'a', count: 1 });
    progress.show({ step: 'a', count: 1 });
    progress.show({ step: 'a', count: 2 });
    progress.finish('done');
    progress.clear();
  });
  t.equal(err, '\r\u001b[Ka: 1\r\u001b[Ka: 2\r\u001b[K');
  t.equal(out, 'done\n');
  t.end();
});

t.test('elsewhere prints a line for every step', (t) => {
  const { out, err } = shown((out, err) => {
    const progress = display(out, err, false);
    for (const [step, count] of [
      ['a', 1],
      ['a', 2],
      ['b', 3],
    ] as const)
      progress.show({ step, count });
    progress.show('what no version knows');
    progress.finish('done', { count: 3 });
  });
  t.equal(err, 'a: 1\nb: 3\n');
  t.equal(out, 'done\n');
  t.end();
});

t.test('as JSON prints every report and the result, and nothing else', (t) => {
  const { out, err } = shown((out, err) => {
    const progress = display(out, err, true, true);
    progress.show({ step: 'a', count: 1 });
    progress.show({ step: 'a', count: 1 });
    progress.finish('done', { count: 2 });
    progress.finish('done');
  });
  t.equal(err, '');
  t.equal(out, '{"step":"a","count":1}\n{"step":"a","count":1}\n{"count":2}\n');
  t.end();
});
