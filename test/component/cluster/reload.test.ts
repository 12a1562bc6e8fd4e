// A reload that meets trouble of the host itself: workers that start, and a host that leaves.
import t from 'tap';
import { OrderedMoves } from '../../../src/cluster/moves/ordered-moves.ts';
import { Reload } from '../../../src/cluster/moves/reload.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { EchoHost } from '../../helpers/echo-host.ts';

const POLICY = { moves: true, restMs: 0, closeMs: 0 };
const facts = (config: object) => ({ config, engineSocketPath: '' });

function reloadOf(host: EchoHost, isLeaving: () => boolean) {
  const flights: number[] = [];
  const moves = new OrderedMoves();
  host.supervisor.observe(moves);
  const reload = new Reload(
    {
      clock: systemClock,
      logger: createLogger({ level: 'silent', role: 'primary' }),
      supervisor: host.supervisor,
      moves,
      connections: () => 0,
      canary: async ({ slot }) => void flights.push(slot),
      isLeaving,
    },
    POLICY,
  );
  return { reload, flights };
}

t.test('a worker that does not get ready proves nothing, and is replaced', async (t) => {
  const host = await EchoHost.start(t, { workers: 1, config: { neverReady: true } });
  const { reload, flights } = reloadOf(host, () => false);
  await reload.run(facts({}), facts({ neverReady: true }), POLICY, () => undefined);
  t.same(flights, []);
  t.same(host.readySlots, [1]);
});

t.test('nothing is put back once the host leaves', async (t) => {
  const host = await EchoHost.start(t, { workers: 3 });
  await host.ready(3);
  let isLeaving = false;
  // The echo workers move nothing: each is closed and replaced.
  const policy = { ...POLICY, moves: false };
  const { reload } = reloadOf(host, () => isLeaving);
  const run = reload.run(facts({ crashingSlots: [3] }), facts({}), policy, ({ state }) => {
    if (state !== 'putting-back' || isLeaving) return;
    isLeaving = true;
    host.supervisor.leave(0, 2000);
  });
  await t.rejects(run, { message: /worker 3 does not start/ });
  await host.supervisor.whenStopped();
  t.same(
    host.supervisor.slots().filter(({ process }) => process !== undefined),
    [],
  );
});
