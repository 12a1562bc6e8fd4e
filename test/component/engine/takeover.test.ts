// One engine takes over from another: workers reconnect, streams go on where they were.
import { join } from 'node:path';
import t from 'tap';
import { MemoryEngineServer } from '../../../src/engine/memory/engine-server.ts';
import { WireError } from '../../../src/engine/wire-error.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { tempDir } from '../../helpers/temp-dir.ts';
import { startMemoryEngine } from '../../contract/memory-engine.ts';

const KEPT = { historySize: 100, historyTtlMs: 60_000, historyMetaTtlMs: 60_000 };

t.test('streams go on with offset and epoch', async (t) => {
  const engine = await startMemoryEngine(t);
  const a = await engine.client();
  await a.broker.subscribe('kept');
  const before = await a.broker.publish('kept', { data: Buffer.from('1') }, KEPT);
  const state = [...engine.server.exportState()];
  await engine.stop();
  await engine.start(state);
  await a.events.untilInterrupted();
  const after = await a.broker.publish('kept', { data: Buffer.from('2') }, KEPT);
  t.same(after.position, { offset: 2, epoch: before.position.epoch });
  await a.events.untilText('kept', '2');
});

t.test('a damaged state is refused, and the engine starts without', async (t) => {
  const path = join(await tempDir(t), 'engine.sock');
  const server = new MemoryEngineServer({ clock: systemClock, newEpoch: () => 'e', path });
  t.teardown(() => server.close());
  t.throws(() => server.importState([Buffer.from('no state at all')]), WireError);
  await server.listen();
  t.equal(server.stats.streams, 0);
});
