import t from 'tap';
import { hostPage } from '../../../src/observe/host-metrics.ts';
import { Metrics } from '../../../src/observe/metrics.ts';
import { ProcessReadings } from '../../../src/observe/process-readings.ts';

t.test('a process tells what it costs', async (t) => {
  const metrics = new Metrics('w1');
  const readings = new ProcessReadings({ metrics, worker: '7', version: '1.2.3' });
  t.teardown(() => readings.close());
  const text = await hostPage([metrics.snapshot()]);
  const value = (pattern: RegExp): number => Number(pattern.exec(text)?.[1]);
  t.ok(value(/worker_resident_bytes\{worker="7"\} (\S+)/) > 1e6);
  t.ok(value(/worker_heap_used_bytes\{worker="7"\} (\S+)/) > 1e5);
  t.ok(value(/worker_uptime_seconds\{worker="7"\} (\S+)/) > 0);
  t.ok(value(/worker_cpu_seconds_total\{[^}]*mode="user"[^}]*\} (\S+)/) > 0);
  t.ok(value(/worker_event_loop_busy_seconds_total\{worker="7"\} (\S+)/) >= 0);
  t.match(text, /build_info\{[^}]*version="1.2.3"[^}]*\} 1\n/);
  readings.close();
});

t.test('a blocked event loop shows as lag', async (t) => {
  const readings = new ProcessReadings({ metrics: new Metrics('w1'), worker: '1', version: '0' });
  t.teardown(() => readings.close());
  const deadline = Date.now() + 10_000;
  // The monitor measures between two of its firings: the first block may come before it has fired at all.
  while (readings.lag().maxMs < 200 && Date.now() < deadline) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  t.ok(readings.lag().maxMs >= 200);
  t.ok(readings.lag().p50Ms <= readings.lag().maxMs);
});
