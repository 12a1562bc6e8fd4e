// Who is refused and comes back at once is kept for a while, once, and not without limit.
import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import t from 'tap';
import {
  defaultReturnPolicy,
  Returning,
  type ReturnPolicy,
} from '../../../src/cluster/admission/returning.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { portOf } from '../../helpers/port-of.ts';
import { RawSocket } from '../../helpers/raw-socket.ts';
import type { Scope } from '../../helpers/scope.ts';
import { waitFor } from '../../helpers/wait-for.ts';

function returning(scope: Scope, policy: Partial<ReturnPolicy> = {}): Returning {
  const made = new Returning(systemClock, { ...defaultReturnPolicy, ...policy });
  scope.teardown(() => made.close());
  return made;
}

/** Both ends of a connection. */
async function pair(scope: Scope): Promise<{ readonly served: Socket; readonly peer: RawSocket }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  scope.teardown(() => server.close());
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const peer = await RawSocket.open(scope, portOf(server));
  const [served]: Socket[] = await accepted;
  if (served === undefined) throw new Error('nobody was accepted');
  scope.teardown(() => served.destroy());
  return { served, peer };
}

t.test('the second time, once, and then judged again', async (t) => {
  const keeper = returning(t, { keepMs: 20 });
  const { served } = await pair(t);
  let judged = 0;
  const keep = (id: string): boolean => keeper.keep(id, served, () => (judged += 1));
  t.equal(keep('request-1'), false);
  t.equal(keep('request-2'), false);
  t.equal(keep('request-1'), true);
  t.equal(keeper.kept, 1);
  await waitFor('its time', () => judged === 1);
  t.equal(keeper.kept, 0);
  t.equal(keep('request-1'), false, 'not a second time');
});

t.test('each after its own time', async (t) => {
  const keeper = returning(t, { keepMs: 30 });
  const { served } = await pair(t);
  const judged: string[] = [];
  for (const id of ['request-1', 'request-2', 'request-3']) {
    keeper.keep(id, served, () => undefined);
    keeper.keep(id, served, () => judged.push(id));
  }
  await waitFor('all', () => judged.length === 3);
  t.same(judged, ['request-1', 'request-2', 'request-3']);
});

t.test('only so many, and only known ones', async (t) => {
  const keeper = returning(t, { maxKept: 1, maxRemembered: 2 });
  const { served } = await pair(t);
  const keep = (id: string): boolean => keeper.keep(id, served, () => undefined);
  for (const id of ['a', 'b', 'c', 'd', 'e']) t.equal(keep(id), false);
  t.equal(keep('a'), false, 'forgotten');
  t.equal(keep('e'), true);
  t.equal(keep('d'), false, 'no place');
});

t.test('at the end all are judged, but those that are gone', async (t) => {
  const keeper = returning(t);
  const [first, second] = [await pair(t), await pair(t)];
  const judged: string[] = [];
  for (const [id, { served }] of Object.entries({ first, second })) {
    keeper.keep(id, served, () => undefined);
    t.equal(
      keeper.keep(id, served, () => judged.push(id)),
      true,
    );
  }
  first.served.destroy();
  keeper.close();
  keeper.close();
  t.same(judged, ['second']);
  t.equal(
    keeper.keep('third', first.served, () => undefined),
    false,
  );
  t.equal(
    keeper.keep('third', first.served, () => undefined),
    false,
    'a closed socket is not kept',
  );
});
