import t from 'tap';
import { formatDuration, parseDuration } from '../../../src/config/duration.ts';

t.test('durations are read as Go writes them', async (t) => {
  const table: readonly (readonly [text: string, expectedMs: number])[] = [
    ['25s', 25_000],
    ['1m30s', 90_000],
    ['720h', 2_592_000_000],
    ['1000ms', 1_000],
    ['1.5h', 5_400_000],
    ['0.5ms', 1],
    ['0s', 0],
    ['0', 0],
    ['1h2m3s4ms', 3_723_004],
  ];
  for (const [text, expectedMs] of table) t.equal(parseDuration(text), expectedMs, text);
});

t.test('anything else is no duration', async (t) => {
  for (const text of ['', '25', 's', '-1s', '1 s', '1d', '1s ', '1..5s', '.5s', '1e3s', '25S', 'ms']) {
    t.equal(parseDuration(text), undefined, JSON.stringify(text));
  }
});

t.test('durations are written with the largest units, and read back the same', async (t) => {
  const table: readonly (readonly [durationMs: number, expected: string])[] = [
    [0, '0s'],
    [90_000, '1m30s'],
    [2_592_000_000, '720h'],
    [1_000, '1s'],
    [1_500, '1s500ms'],
    [3_600_001, '1h1ms'],
  ];
  for (const [durationMs, expected] of table) {
    t.equal(formatDuration(durationMs), expected);
    t.equal(parseDuration(expected), durationMs, expected);
  }
});
