import t from 'tap';
import { Histogram } from '../../bench/load/histogram.ts';
import { median, medianRatio } from '../../bench/measure/statistics.ts';

void t.test('percentiles are right within one per cent', async (t) => {
  const histogram = new Histogram();
  const values: number[] = [];
  for (let i = 1; i <= 20_000; i++) {
    const value = Math.round(1.0007 ** i);
    values.push(value);
    histogram.record(value);
  }
  for (const fraction of [0.01, 0.25, 0.5, 0.9, 0.99, 0.999]) {
    const exact = values[Math.ceil(values.length * fraction) - 1] ?? 0;
    t.ok(
      Math.abs(histogram.percentile(fraction) - exact) <= Math.max(1, exact * 0.01),
      `${fraction}: ${histogram.percentile(fraction)} for ${exact}`,
    );
  }
  t.equal(histogram.percentile(1), histogram.max);
  t.equal(histogram.max, values.at(-1));
});

void t.test('histograms of several processes become one', async (t) => {
  const low = new Histogram();
  const high = new Histogram();
  for (let i = 0; i < 99; i++) low.record(10);
  high.record(5000);
  const merged = Histogram.merged([low.state(), high.state()]);
  t.equal(merged.total, 100);
  t.equal(merged.percentile(0.99), 10);
  t.equal(merged.max, 5000);
  low.reset();
  t.equal(low.percentile(0.5), 0);
  t.equal(low.total, 0);
});

void t.test('ratios are taken within a round', async (t) => {
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 2, 3]), 2.5);
  t.equal(medianRatio([1, 20, 300], [2, 20, 100]), 1);
  t.ok(Number.isNaN(medianRatio([], [])), 'nothing measured is no number');
});
