// What every PresenceStore must do, whatever engine is behind it.
import type { Test } from 'tap';
import type { ClientInfo } from '../../src/protocol/publication.ts';
import { UnavailableError } from '../../src/util/errors.ts';
import { waitFor, within } from '../helpers/wait-for.ts';
import type { EngineClient, EngineFactory } from './engine-under-test.ts';

const info = (client: string, user: string, chanInfo?: string): ClientInfo => ({
  user,
  client,
  connInfo: undefined,
  chanInfo: chanInfo === undefined ? undefined : Buffer.from(chanInfo),
});

async function clients(client: EngineClient, channel: string): Promise<readonly string[]> {
  return (await client.presence.get(channel)).map((each) => each.client).toSorted();
}

export function presenceContract(t: Test, name: string, factory: EngineFactory): void {
  t.test(`${name}: presence of all processes, seen by all`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    await a.presence.add('room', info('c1', 'anna', '{"r":1}'));
    await b.presence.add('room', info('c2', 'anna'));
    await b.presence.add('room', info('c3', 'bert'));
    await b.presence.add('other', info('c3', 'bert'));
    for (const client of [a, b]) {
      t.same(await clients(client, 'room'), ['c1', 'c2', 'c3']);
      t.same(await client.presence.stats('room'), { clients: 3, users: 2 });
    }
    const first = (await b.presence.get('room')).find(({ client }) => client === 'c1');
    t.same(first, info('c1', 'anna', '{"r":1}'));
    await b.presence.remove('room', 'c2');
    t.same(await a.presence.stats('room'), { clients: 2, users: 2 });
    await b.presence.remove('room', 'c3');
    await b.presence.remove('room', 'c3');
    t.same(await a.presence.stats('room'), { clients: 1, users: 1 });
    t.same(await clients(a, 'other'), ['c3']);
    t.same(await a.presence.get('nowhere'), []);
    t.same(await a.presence.stats('nowhere'), { clients: 0, users: 0 });
  });

  t.test(`${name}: adding a client again replaces its entry`, async (t) => {
    const engine = await factory(t);
    const a = await engine.client();
    await a.presence.add('room', info('c1', 'anna', '1'));
    await a.presence.add('room', info('c1', 'bert', '2'));
    t.same(await a.presence.get('room'), [info('c1', 'bert', '2')]);
    t.same(await a.presence.stats('room'), { clients: 1, users: 1 });
    await a.presence.remove('room', 'c1');
    t.same(await a.presence.stats('room'), { clients: 0, users: 0 });
  });

  t.test(`${name}: a client that moved to another process is not removed by the one it left`, async (t) => {
    const engine = await factory(t);
    const [source, target] = [await engine.client(), await engine.client()];
    await source.presence.add('room', info('c1', 'anna'));
    await target.presence.add('room', info('c1', 'anna'));
    await source.presence.remove('room', 'c1');
    t.same(await clients(target, 'room'), ['c1']);
    await source.close();
    await engine.elapse(20_000);
    t.same(await clients(target, 'room'), ['c1']);
    t.same(await target.presence.stats('room'), { clients: 1, users: 1 });
    await target.presence.remove('room', 'c1');
    t.same(await clients(target, 'room'), []);
  });

  t.test(`${name}: what an ended process owned disappears`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    await a.presence.add('room', info('c1', 'anna'));
    await a.presence.add('room', info('c2', 'anna'));
    await b.presence.add('room', info('c3', 'anna'));
    await a.close();
    await waitFor('the entries of the ended process to go', async () => {
      await engine.elapse(1000);
      return (await clients(b, 'room')).length === 1;
    });
    t.same(await b.presence.stats('room'), { clients: 1, users: 1 });
  });

  t.test(`${name}: thousands of entries come complete`, async (t) => {
    const engine = await factory(t);
    const a = await engine.client();
    const big = 'x'.repeat(1000);
    await Promise.all(
      Array.from({ length: 3000 }, (_, index) =>
        a.presence.add('room', info(`c${String(index)}`, `u${String(index % 100)}`, big)),
      ),
    );
    const all = await a.presence.get('room');
    t.equal(new Set(all.map(({ client }) => client)).size, 3000);
    t.ok(all.every(({ chanInfo }) => chanInfo?.length === 1000));
    t.same(await a.presence.stats('room'), { clients: 3000, users: 100 });
  });

  t.test(`${name}: after an outage every process tells its entries again`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    await a.presence.add('room', info('c1', 'anna'));
    await a.presence.add('room', info('gone', 'anna'));
    await b.presence.add('room', info('c2', 'bert'));
    await engine.stop();
    await t.rejects(within('a rejection', a.presence.get('room')), UnavailableError);
    await t.rejects(
      within('a rejection', a.presence.add('room', info('refused', 'x')), 2000),
      UnavailableError,
    );
    await a.presence.remove('room', 'gone').catch(() => undefined);
    await engine.start();
    await waitFor('the entries to be back', async () => {
      await engine.elapse(1000);
      const present = await clients(b, 'room').catch(() => []);
      return present.length === 2 && present.join() === 'c1,c2';
    });
    t.same(await a.presence.stats('room'), { clients: 2, users: 2 });
  });
}
