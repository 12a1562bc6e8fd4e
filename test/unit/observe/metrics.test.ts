import { readFileSync } from 'node:fs';
import t from 'tap';
import { HotCounters } from '../../../src/observe/hot-counters.ts';
import { hostPage, MetricsArchive } from '../../../src/observe/host-metrics.ts';
import { METRIC_PREFIX, METRICS } from '../../../src/observe/metric-table.ts';
import { Metrics, type MetricsSnapshot } from '../../../src/observe/metrics.ts';

async function page(...metrics: Metrics[]): Promise<string> {
  // Snapshots travel over IPC as JSON.
  return hostPage(metrics.map((each) => JSON.parse(JSON.stringify(each.snapshot())) as unknown));
}

function as(pid: number, metrics: Metrics): MetricsSnapshot {
  return { ...metrics.snapshot(), pid };
}

t.test('counters of several workers add up', async (t) => {
  const one = new Metrics('w1');
  const two = new Metrics('w2');
  one.hot.messagesIn += 3;
  two.hot.messagesIn += 4;
  one.hot.closed.cell('slow').value += 1;
  two.hot.closed.cell('slow').value += 1;
  two.hot.closed.cell('stale').value += 5;
  one.hot.commands.cell('publish', 'ok').value += 2;
  const text = await page(one, two);
  t.match(text, 'holdfast_messages_in_total 7\n');
  t.match(text, 'holdfast_connections_closed_total{cause="slow"} 2\n');
  t.match(text, 'holdfast_connections_closed_total{cause="stale"} 5\n');
  t.match(text, /holdfast_commands_total\{(kind="publish",result="ok"|result="ok",kind="publish")\} 2\n/);
});

t.test('values that are read when the page is made', async (t) => {
  const one = new Metrics('w1');
  const two = new Metrics('w2');
  let open = 2;
  one.read('connections', () => [[['websocket', 'json'], open]]);
  two.read('connections', () => [[['websocket', 'json'], 5]]);
  one.read('outboxBytes', () => 100);
  one.read('workerLag', () => [[['1', 'max'], 0.25]]);
  two.read('workerLag', () => [[['1', 'max'], 0.5]]);
  t.match(await page(one, two), /holdfast_connections\{.*\} 7\n/);
  open = 0;
  const text = await page(one, two);
  t.match(text, /holdfast_connections\{.*\} 5\n/);
  t.match(text, 'holdfast_outbox_bytes 100\n');
  t.match(text, /event_loop_lag_seconds\{.*\} 0.5\n/, 'the worst counts where a sum has no meaning');
  t.throws(() => one.read('outboxBytes', () => 1), /already read/);
});

t.test('a histogram counts into cumulative buckets', async (t) => {
  const one = new Metrics('w1');
  one.hot.deliveryLatency.observe(0.0004);
  one.hot.deliveryLatency.observe(0.003, 10);
  one.hot.deliveryLatency.observe(60);
  one.hot.deliveryLatency.observe(-1);
  one.hot.engineSeconds.of('publish').observe(0.0005);
  const text = await page(one, new Metrics('w2'));
  t.match(text, 'holdfast_delivery_latency_seconds_bucket{le="0.0005"} 2\n');
  t.match(text, 'holdfast_delivery_latency_seconds_bucket{le="0.0025"} 2\n');
  t.match(text, 'holdfast_delivery_latency_seconds_bucket{le="0.005"} 12\n');
  t.match(text, 'holdfast_delivery_latency_seconds_bucket{le="5"} 12\n');
  t.match(text, 'holdfast_delivery_latency_seconds_bucket{le="+Inf"} 13\n');
  t.match(text, 'holdfast_delivery_latency_seconds_count 13\n');
  t.match(text, /holdfast_delivery_latency_seconds_sum 60\.03/);
  t.match(text, /engine_operation_seconds_bucket\{.*le="0.0005".*\} 1\n/);
});

t.test('labels from outside cannot grow without bound', async (t) => {
  const hot = new HotCounters();
  for (let i = 0; i < 5000; i += 1) hot.closed.cell(`cause${i}`).value += 1;
  const entries = [...hot.closed.entries()];
  t.ok(entries.length <= 1001);
  t.equal(
    entries.reduce((sum, [, value]) => sum + value, 0),
    5000,
    'nothing is uncounted',
  );
});

t.test('counters of the host never go backwards', async (t) => {
  const archive = new MetricsArchive();
  const primary = new Metrics('p');
  const one = new Metrics('w1');
  const two = new Metrics('w2');
  // The primary answers when it is asked, before it hears the workers.
  const collect = async (...answers: unknown[]): Promise<string> => {
    const own = archive.answer(as(99, primary));
    for (const answer of answers) archive.record(answer);
    return hostPage([own, ...answers]);
  };
  const count = async (...answers: unknown[]): Promise<number> =>
    Number(/holdfast_messages_in_total (\d+)/.exec(await collect(...answers))?.[1]);
  one.read('subscriptions', () => 9);
  one.hot.messagesIn = 10;
  one.hot.deliveryLatency.observe(1, 4);
  two.hot.messagesIn = 5;
  t.equal(await count(as(1, one), as(2, two)), 15);
  t.equal(await count(as(1, one), as(2, two)), 15, 'nothing is counted twice');
  t.match(await collect(as(1, one), as(2, two)), 'holdfast_metrics_sources{state="answered"} 3\n');
  t.equal(await count(as(2, two)), 15, 'a worker that does not answer counts as it last did');
  const partial = await collect(as(2, two));
  t.match(partial, 'holdfast_metrics_sources{state="missing"} 1\n');
  t.notMatch(partial, 'holdfast_subscriptions 9', 'its gauges are not known');

  one.hot.messagesIn = 11;
  const late = as(1, one);
  archive.retire(1);
  t.equal(await count(as(2, two)), 15, 'the dead are remembered');
  archive.record(late);
  t.equal(await count(as(2, two)), 15, 'and not counted twice by a late answer');
  const text = await collect(as(2, two));
  t.match(text, 'holdfast_delivery_latency_seconds_count 4\n');
  t.match(text, 'holdfast_metrics_sources{state="missing"} 0\n');

  const three = new Metrics('w3');
  three.hot.messagesIn = 1;
  t.equal(await count(as(2, two), as(1, three)), 16, 'a successor may have the same process id');
  three.hot.messagesIn = 4;
  archive.record(as(1, three));
  archive.retire(1);
  t.equal(await count(as(2, two)), 19, 'last words count');
  t.equal(await count('garbage', undefined, as(2, two)), 19);
});

t.test('the reference page lists exactly the metrics of the table', async (t) => {
  const text = readFileSync('docs/metrics.md', 'utf8');
  const rows = [...text.matchAll(/^\| `(holdfast_[a-z_]+)`\s*\| (\w+)\s*\| ([^|]*?)\s*\| ([^|]*?)\s*\|$/gm)];
  const documented = rows.map(([, name, type, labels, help]) => ({ name, type, labels, help }));
  const expected = Object.values(METRICS).map(({ name, type, labels, help }) => ({
    name: METRIC_PREFIX + name,
    type,
    labels: labels.map((label) => `\`${label}\``).join(', '),
    help,
  }));
  t.strictSame(
    documented.filter((each) => each.name !== 'holdfast_metrics_sources'),
    expected,
  );
});
