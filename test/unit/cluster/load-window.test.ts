import t from 'tap';
import { LoadWindow } from '../../../src/cluster/load/load-window.ts';

const WINDOW_MS = 30_000;

/** One sample a second; `busy` and `bytes` are what each second brought. */
function watched(seconds: readonly { readonly busyMs: number; readonly bytes: number }[]): LoadWindow {
  const window = new LoadWindow();
  let [trafficBytes, loopBusyMs, atMs] = [1e9, 1e6, 5e6];
  window.add({ trafficBytes, loopBusyMs }, atMs, WINDOW_MS);
  for (const { busyMs, bytes } of seconds) {
    trafficBytes += bytes;
    loopBusyMs += busyMs;
    atMs += 1000;
    window.add({ trafficBytes, loopBusyMs }, atMs, WINDOW_MS);
  }
  return window;
}

const seconds = (count: number, busyMs: number, bytes = 0): { busyMs: number; bytes: number }[] =>
  Array.from({ length: count }, () => ({ busyMs, bytes }));

t.test('nothing is said before five seconds', async (t) => {
  t.equal(new LoadWindow().rates, undefined);
  t.equal(watched(seconds(4, 500)).rates, undefined);
  t.same(watched(seconds(5, 500, 2000)).rates, { bytesPerSecond: 2000, loopShare: 0.5 });
});

t.test('a spike fills only its share of the window, what lasts fills it', async (t) => {
  const spike = watched([...seconds(60, 100), ...seconds(3, 1000)]).rates?.loopShare ?? 1;
  t.ok(spike < 0.2, `${spike}`);
  const lasting = watched([...seconds(60, 100), ...seconds(30, 1000)]).rates?.loopShare;
  t.equal(lasting, 1);
  t.equal(
    watched([...seconds(30, 1000), ...seconds(30, 100)]).rates?.loopShare,
    0.1,
    'what is over is forgotten',
  );
});

t.test('after a restart it is measured anew', async (t) => {
  const window = watched(seconds(20, 1000));
  window.restart();
  t.equal(window.rates, undefined);
  for (let second = 0; second <= 5; second += 1) {
    window.add({ trafficBytes: 0, loopBusyMs: second * 200 }, second * 1000, WINDOW_MS);
  }
  t.equal(window.rates?.loopShare, 0.2);
});

t.test('a window that becomes shorter is shorter at once', async (t) => {
  const window = new LoadWindow();
  for (let second = 0; second <= 30; second += 1) {
    const loopBusyMs = second <= 20 ? 0 : (second - 20) * 1000;
    window.add({ trafficBytes: 0, loopBusyMs }, second * 1000, second < 30 ? WINDOW_MS : 10_000);
  }
  t.equal(window.rates?.loopShare, 1);
});
