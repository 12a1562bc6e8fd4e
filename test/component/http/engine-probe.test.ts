import t from 'tap';
import { EngineProbe } from '../../../src/gateway/engine-probe.ts';
import type { BrokerListener } from '../../../src/engine/broker.ts';
import { Distribution } from '../../../src/observe/hot-counters.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { embeddedEngine } from '../../helpers/embedded-engine.ts';
import { waitFor } from '../../helpers/wait-for.ts';

t.test('an engine is well while messages come back, and only then', async (t) => {
  const engine = await embeddedEngine(t);
  const others: string[] = [];
  const hub: BrokerListener = {
    onPublication: (channel) => void others.push(channel),
    onJoin: () => undefined,
    onLeave: () => undefined,
    onInterruption: () => undefined,
  };
  // The broker needs its listener before the probe can have the broker.
  let listener = hub;
  const client = await engine.connect({
    ...hub,
    onPublication: (channel, publication, epoch, previous) =>
      listener.onPublication(channel, publication, epoch, previous),
  });
  const roundTrips = new Distribution([1]);
  const probe = new EngineProbe({
    broker: client.broker,
    clock: systemClock,
    node: 'n1',
    roundTrips,
    intervalMs: 10,
    timeoutMs: 200,
  });
  t.teardown(() => probe.close());
  t.match(probe.check(), { ok: false, detail: 'no message has come back yet' });
  listener = probe.intercept(hub);
  await waitFor('the first echo', () => probe.check().ok);
  t.match(probe.check().detail, /came back in [\d.]+ ms/);
  t.ok(roundTrips.sum > 0);

  await client.broker.subscribe('other');
  await client.broker.publish(
    'other',
    { data: Buffer.from('1') },
    { historySize: 0, historyTtlMs: 0, historyMetaTtlMs: 0 },
  );
  await waitFor('what is not its own', () => others.includes('other'));
  t.strictSame(new Set(others), new Set(['other']), 'echoes stay with the probe');

  await engine.server.close();
  await waitFor('the failure to be seen', () => !probe.check().ok);
  t.match(probe.check().detail, /no message came back for [\d.]+ s: ./);
  await probe.close();
  await probe.close();
});
