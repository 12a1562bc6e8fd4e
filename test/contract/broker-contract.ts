// What every Broker must do, whatever engine is behind it.
import type { Test } from 'tap';
import type { HistoryFilter, PublishOptions, PublishResult } from '../../src/engine/broker.ts';
import type { ClientInfo, PublicationDraft } from '../../src/protocol/publication.ts';
import { UnavailableError } from '../../src/util/errors.ts';
import { waitFor, within } from '../helpers/wait-for.ts';
import type { EngineClient, EngineFactory } from './engine-under-test.ts';

export const PLAIN: PublishOptions = { historySize: 0, historyTtlMs: 0, historyMetaTtlMs: 0 };
const KEPT: PublishOptions = { historySize: 10, historyTtlMs: 60_000, historyMetaTtlMs: 600_000 };
const META_TTL_MS = KEPT.historyMetaTtlMs;
const ALL = { limit: -1, reverse: false, historyMetaTtlMs: META_TTL_MS };

const text = (value: string): PublicationDraft => ({ data: Buffer.from(value) });

const info = (client: string, user = 'u'): ClientInfo => ({ user, client });

function publish(
  client: EngineClient,
  channel: string,
  value: string,
  options: PublishOptions = PLAIN,
): Promise<PublishResult> {
  return Promise.resolve(client.broker.publish(channel, text(value), options));
}

async function publishAll(
  client: EngineClient,
  channel: string,
  values: readonly string[],
  options: PublishOptions,
): Promise<void> {
  for (const value of values) await publish(client, channel, value, options);
}

async function texts(client: EngineClient, channel: string, filter: Partial<HistoryFilter> = {}) {
  const { publications } = await client.broker.history(channel, { ...ALL, ...filter });
  return publications.map(({ data }) => data.toString());
}

const numbered = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index)}`);

export function brokerContract(t: Test, name: string, factory: EngineFactory): void {
  t.test(`${name}: delivers to every subscriber, in order, the publisher included`, async (t) => {
    const engine = await factory(t);
    const [a, b, c] = [await engine.client(), await engine.client(), await engine.client()];
    await a.broker.subscribe('room');
    await b.broker.subscribe('room');
    const values = numbered('m', 50);
    await Promise.all(values.map((value) => publish(a, 'room', value)));
    t.same(
      (await a.events.until('room', 50)).map((event) => event.text),
      values,
    );
    t.same(
      (await b.events.until('room', 50)).map((event) => event.text),
      values,
    );
    t.same(c.events.all, [], 'nothing for a process that is not subscribed');
  });

  t.test(`${name}: carries every field of a publication unchanged`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    await a.broker.subscribe('room');
    await b.broker.subscribe('room');
    const data = Buffer.from([0, 1, 2, 255, 254, 10, 13]);
    const full: PublicationDraft = {
      data,
      info: { user: 'ü', client: 'c1', connInfo: Buffer.from('{"a":1}'), chanInfo: Buffer.from('[]') },
      tags: { lang: 'de', 'emoji 🙂': '', ['__proto__']: 'own' },
    };
    for (const options of [PLAIN, KEPT]) {
      const channel = options === KEPT ? 'kept' : 'plain';
      await a.broker.subscribe(channel);
      await b.broker.subscribe(channel);
      await a.broker.publish(channel, full, options);
      await b.events.until(channel, 1);
      await b.broker.publish(channel, { data: Buffer.alloc(0), info: info('c2') }, options);
      for (const client of [a, b]) {
        const [first, second] = await client.events.until(channel, 2);
        t.ok(first?.publication?.data.equals(data));
        t.same(first?.publication?.info, full.info);
        t.same(Object.entries(first?.publication?.tags ?? {}), Object.entries(full.tags ?? {}));
        t.equal(first?.publication?.offset, options === KEPT ? 1 : 0);
        t.equal(first?.epoch === '', options === PLAIN);
        t.equal(second?.publication?.data.length, 0);
        t.equal(second?.publication?.info?.client, 'c2');
        t.equal(second?.publication?.info?.connInfo, undefined);
        t.equal(second?.publication?.tags, undefined);
      }
    }
  });

  t.test(`${name}: stamps the time at which a publication was taken`, async (t) => {
    const engine = await factory(t);
    const a = await engine.client();
    await a.broker.subscribe('kept');
    const beforeMs = Date.now();
    await publish(a, 'kept', 'x', KEPT);
    const [event] = await a.events.until('kept', 1);
    const time = event?.publication?.time ?? 0;
    t.ok(time >= beforeMs - 1000 && time <= Date.now() + 1000, `${String(time)} is about now`);
    t.equal((await a.broker.history('kept', ALL)).publications[0]?.time, time);
  });

  t.test(`${name}: carries a payload of megabytes and channel names of any script`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    const channel = 'новости:🙂 #1';
    await b.broker.subscribe(channel);
    const data = Buffer.alloc(3_000_000, 'abcdefg');
    await a.broker.publish(channel, { data }, PLAIN);
    await a.broker.publish(channel, { data }, KEPT);
    const events = await b.events.until(channel, 2);
    t.ok(events.every(({ publication }) => publication?.data.equals(data)));
    const { publications } = await b.broker.history(channel, ALL);
    t.ok(publications[0]?.data.equals(data));
  });

  t.test(
    `${name}: stops delivering after unsubscribe, and delivers again after a new subscribe`,
    async (t) => {
      const engine = await factory(t);
      const [a, b] = [await engine.client(), await engine.client()];
      await b.broker.subscribe('room');
      await b.broker.subscribe('other');
      await publish(a, 'room', 'first');
      await b.events.until('room', 1);
      await b.broker.unsubscribe('room');
      await publish(a, 'room', 'unheard');
      await publish(a, 'other', 'marker');
      await b.events.untilText('other', 'marker');
      await b.broker.subscribe('room');
      await publish(a, 'room', 'second');
      await b.events.untilText('room', 'second');
      t.same(b.events.texts('room'), ['first', 'second']);
    },
  );

  t.test(
    `${name}: subscribing twice delivers once; unsubscribing from the unknown is harmless`,
    async (t) => {
      const engine = await factory(t);
      const a = await engine.client();
      await Promise.all([a.broker.subscribe('room'), a.broker.subscribe('room')]);
      await a.broker.subscribe('room');
      await a.broker.unsubscribe('unknown');
      await publish(a, 'room', 'one');
      await publish(a, 'room', 'two');
      await a.events.untilText('room', 'two');
      t.same(a.events.texts('room'), ['one', 'two']);
    },
  );

  t.test(`${name}: a publish to a channel that nobody subscribed succeeds`, async (t) => {
    const engine = await factory(t);
    const a = await engine.client();
    t.same(await publish(a, 'void', 'x'), { position: { offset: 0, epoch: '' }, suppressed: false });
    const { position, suppressed } = await publish(a, 'kept', 'x', KEPT);
    t.equal(position.offset, 1);
    t.not(position.epoch, '');
    t.equal(suppressed, false);
  });

  t.test(`${name}: joins and leaves travel in order with publications`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    await a.broker.subscribe('room');
    await b.broker.subscribe('room');
    const who: ClientInfo = { user: 'u1', client: 'c1', connInfo: Buffer.from('1'), chanInfo: undefined };
    await a.broker.publishJoin('room', who);
    await publish(a, 'room', 'hello');
    await a.broker.publishLeave('room', who);
    for (const client of [a, b]) {
      const events = await client.events.until('room', 3);
      t.same(
        events.map(({ kind }) => kind),
        ['join', 'publication', 'leave'],
      );
      t.same(events[0]?.info, who);
      t.same(events[2]?.info, who);
    }
  });

  historyContract(t, name, factory);
  orderContract(t, name, factory);
  outageContract(t, name, factory);
}

function historyContract(t: Test, name: string, factory: EngineFactory): void {
  t.test(`${name}: history forward, reverse, since and with limits`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    await publishAll(a, 'kept', ['1', '2', '3', '4', '5'], KEPT);
    const { top } = await b.broker.history('kept', { ...ALL, limit: 0 });
    t.equal(top.offset, 5);
    const since = (offset: number) => ({ since: { offset, epoch: top.epoch } });
    t.same(await texts(b, 'kept', { limit: 0 }), []);
    t.same(await texts(b, 'kept'), ['1', '2', '3', '4', '5']);
    t.same(await texts(b, 'kept', { limit: 2 }), ['1', '2']);
    t.same(await texts(b, 'kept', { limit: 20 }), ['1', '2', '3', '4', '5']);
    t.same(await texts(b, 'kept', since(2)), ['3', '4', '5']);
    t.same(await texts(b, 'kept', { ...since(2), limit: 2 }), ['3', '4']);
    t.same(await texts(b, 'kept', since(0)), ['1', '2', '3', '4', '5']);
    t.same(await texts(b, 'kept', since(5)), []);
    t.same(await texts(b, 'kept', since(99)), []);
    t.same(await texts(b, 'kept', { reverse: true }), ['5', '4', '3', '2', '1']);
    t.same(await texts(b, 'kept', { reverse: true, limit: 2 }), ['5', '4']);
    t.same(await texts(b, 'kept', { reverse: true, ...since(4) }), ['3', '2', '1']);
    t.same(await texts(b, 'kept', { reverse: true, ...since(4), limit: 2 }), ['3', '2']);
    t.same(await texts(b, 'kept', { reverse: true, ...since(1) }), []);
    t.same(await texts(b, 'kept', { reverse: true, ...since(99) }), ['5', '4', '3', '2', '1']);
    const { publications } = await b.broker.history('kept', ALL);
    t.same(
      publications.map(({ offset }) => offset),
      [1, 2, 3, 4, 5],
    );
  });

  t.test(`${name}: history keeps the newest up to its size, offsets go on`, async (t) => {
    const engine = await factory(t);
    const a = await engine.client();
    const values = numbered('m', 100);
    await publishAll(a, 'kept', values, KEPT);
    t.same(await texts(a, 'kept'), values.slice(90));
    const { publications, top } = await a.broker.history('kept', {
      ...ALL,
      since: { offset: 3, epoch: '' },
      limit: 3,
    });
    t.same(
      publications.map(({ offset }) => offset),
      [91, 92, 93],
      'what was trimmed is left out without an error',
    );
    t.equal(top.offset, 100);
    await publish(a, 'kept', 'last', { ...KEPT, historySize: 2 });
    t.same(await texts(a, 'kept'), ['m99', 'last'], 'a smaller size applies with the next publication');
  });

  t.test(`${name}: a stream that did not exist gets its epoch with the first look`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    const { top, publications } = await a.broker.history('kept', ALL);
    t.same(publications, []);
    t.equal(top.offset, 0);
    t.not(top.epoch, '');
    const { position } = await publish(b, 'kept', 'x', KEPT);
    t.same(position, { offset: 1, epoch: top.epoch });
    const other = await a.broker.history('other', ALL);
    t.not(other.top.epoch, top.epoch, 'another stream has another epoch');
  });

  t.test(
    `${name}: publications expire, position and epoch live longer, then a new epoch begins`,
    async (t) => {
      const engine = await factory(t);
      const a = await engine.client();
      const options = { historySize: 10, historyTtlMs: 1000, historyMetaTtlMs: 3000 };
      const filter = { ...ALL, historyMetaTtlMs: options.historyMetaTtlMs };
      const first = await publish(a, 'kept', 'x', options);
      t.same(await texts(a, 'kept', filter), ['x']);
      await engine.elapse(1100);
      const expired = await a.broker.history('kept', filter);
      t.same(expired.publications, []);
      t.same(expired.top, first.position);
      const second = await publish(a, 'kept', 'y', options);
      t.same(second.position, { offset: 2, epoch: first.position.epoch });
      await engine.elapse(3100);
      const renewed = await a.broker.history('kept', filter);
      t.equal(renewed.top.offset, 0);
      t.not(renewed.top.epoch, first.position.epoch);
    },
  );

  t.test(`${name}: removing history keeps the position`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    await publishAll(a, 'kept', ['1', '2'], KEPT);
    const before = await b.broker.history('kept', ALL);
    await a.broker.removeHistory('kept');
    const after = await b.broker.history('kept', ALL);
    t.same(after.publications, []);
    t.same(after.top, before.top);
    const { position } = await publish(b, 'kept', '3', KEPT);
    t.same(position, { offset: 3, epoch: before.top.epoch });
    t.same(await texts(a, 'kept'), ['3']);
    await a.broker.removeHistory('never existed');
  });

  t.test(`${name}: the same idempotency key publishes once in its time`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    await b.broker.subscribe('kept');
    await b.broker.subscribe('plain');
    const keyed = { ...KEPT, idempotencyKey: 'k1', idempotencyTtlMs: 1000 };
    const first = await publish(a, 'kept', '1', keyed);
    const second = await publish(b, 'kept', '2', keyed);
    t.equal(first.suppressed, false);
    t.equal(second.suppressed, 'idempotency');
    t.same(second.position, first.position);
    const other = await publish(a, 'kept', '3', { ...keyed, idempotencyKey: 'k2' });
    t.equal(other.position.offset, 2);
    const plainKeyed = { ...PLAIN, idempotencyKey: 'k1', idempotencyTtlMs: 1000 };
    t.equal((await publish(a, 'plain', 'p1', plainKeyed)).suppressed, false, 'keys are per channel');
    t.equal((await publish(a, 'plain', 'p2', plainKeyed)).suppressed, 'idempotency');
    await engine.elapse(1100);
    t.equal((await publish(a, 'kept', '4', keyed)).suppressed, false);
    await publish(a, 'plain', 'end');
    await b.events.untilText('plain', 'end');
    await b.events.untilText('kept', '4');
    t.same(b.events.texts('kept'), ['1', '3', '4']);
    t.same(b.events.texts('plain'), ['p1', 'end']);
  });

  t.test(`${name}: of concurrent publishes with one idempotency key one is delivered`, async (t) => {
    const engine = await factory(t);
    const clients = await Promise.all(Array.from({ length: 3 }, () => engine.client()));
    const keyed = { ...KEPT, idempotencyKey: 'k', idempotencyTtlMs: 60_000 };
    const results = await Promise.all(
      clients.flatMap((client) =>
        Array.from({ length: 5 }, (_, index) => publish(client, 'kept', String(index), keyed)),
      ),
    );
    t.equal(results.filter(({ suppressed }) => suppressed === false).length, 1);
    t.ok(results.every(({ position }) => position.offset === 1));
  });

  t.test(`${name}: drops versions that are not newer, per version epoch`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    await b.broker.subscribe('kept');
    const versioned = (version: number, versionEpoch?: string) => ({ ...KEPT, version, versionEpoch });
    t.equal((await publish(a, 'kept', 'v2', versioned(2))).suppressed, false);
    const same = await publish(b, 'kept', 'v2 again', versioned(2));
    t.equal(same.suppressed, 'version');
    t.equal(same.position.offset, 1, 'the position is that of the stream');
    t.equal((await publish(a, 'kept', 'v1', versioned(1))).suppressed, 'version');
    t.equal((await publish(a, 'kept', 'unversioned', KEPT)).suppressed, false);
    t.equal((await publish(a, 'kept', 'v2 once more', versioned(2))).suppressed, 'version');
    t.equal((await publish(a, 'kept', 'v3', versioned(3))).suppressed, false);
    t.equal((await publish(a, 'kept', 'e v1', versioned(1, 'e'))).suppressed, false);
    t.equal((await publish(a, 'kept', 'e v1 again', versioned(1, 'e'))).suppressed, 'version');
    t.equal((await publish(a, 'kept', 'e v2', versioned(2, 'e'))).suppressed, false);
    await b.events.untilText('kept', 'e v2');
    t.same(b.events.texts('kept'), ['v2', 'unversioned', 'v3', 'e v1', 'e v2']);
    t.same(await texts(a, 'kept'), ['v2', 'unversioned', 'v3', 'e v1', 'e v2']);
  });

  t.test(`${name}: versions above 2^32 keep their order`, async (t) => {
    const engine = await factory(t);
    const a = await engine.client();
    const version = Number.MAX_SAFE_INTEGER - 1;
    t.equal((await publish(a, 'kept', '1', { ...KEPT, version })).suppressed, false);
    t.equal((await publish(a, 'kept', '2', { ...KEPT, version })).suppressed, 'version');
    t.equal((await publish(a, 'kept', '3', { ...KEPT, version: version + 1 })).suppressed, false);
  });

  t.test(`${name}: hands the previous publication over when asked for a delta`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    await b.broker.subscribe('kept');
    await a.broker.publish('kept', { data: Buffer.from('1'), tags: { a: 'b' }, info: info('c') }, KEPT);
    await publish(a, 'kept', '2', { ...KEPT, delta: true });
    await publish(a, 'kept', '3', KEPT);
    await a.broker.removeHistory('kept');
    await publish(a, 'kept', '4', { ...KEPT, delta: true });
    await publish(a, 'kept', '5', { ...KEPT, delta: true });
    const events = await b.events.until('kept', 5);
    t.same(
      events.map(({ previous }) => previous?.data.toString()),
      [undefined, '1', undefined, undefined, '4'],
    );
    t.equal(events[1]?.previous?.offset, 1);
    t.same(events[1]?.previous?.tags, { a: 'b' });
    t.equal(events[1]?.previous?.info?.client, 'c');
  });
}

function orderContract(t: Test, name: string, factory: EngineFactory): void {
  t.test(
    `${name}: concurrent publishers: one order of what is kept, each one's order of all else`,
    async (t) => {
      const engine = await factory(t);
      const clients = await Promise.all(Array.from({ length: 3 }, () => engine.client()));
      for (const channel of ['plain', 'kept']) {
        const options = channel === 'plain' ? PLAIN : { ...KEPT, historySize: 1000 };
        await Promise.all(clients.map(({ broker }) => broker.subscribe(channel)));
        await Promise.all(
          clients.map(async (client, index) => {
            for (const value of numbered(`${String(index)}-`, 100)) {
              await publish(client, channel, value, options);
              if (value.endsWith('5')) await setImmediatePromise();
            }
          }),
        );
        const orders = await Promise.all(clients.map(({ events }) => events.until(channel, 300)));
        const texts = orders.map((events) => events.map((event) => event.text));
        for (const seen of texts) {
          if (channel === 'kept') t.same(seen, texts[0], 'one order');
          t.equal(seen.length, 300, 'nothing twice');
          for (const index of [0, 1, 2]) {
            const own = seen.filter((value) => value.startsWith(`${String(index)}-`));
            t.same(own, numbered(`${String(index)}-`, 100), 'in the order of each publisher, nothing lost');
          }
        }
      }
      const offsets = clients[0]?.events.of('kept').map(({ publication }) => publication?.offset);
      t.same(
        offsets,
        Array.from({ length: 300 }, (_, index) => index + 1),
      );
    },
  );

  t.test(`${name}: nobody sees an answer before what it answers to`, async (t) => {
    const engine = await factory(t);
    const clients = await Promise.all(Array.from({ length: 3 }, () => engine.client()));
    await Promise.all(clients.map(({ broker }) => broker.subscribe('talk')));
    // Whoever sees a number says the next one if it is his turn; every seventh is kept.
    clients.forEach((client, index) => {
      const record = client.events.onPublication.bind(client.events);
      client.events.onPublication = (channel, publication, epoch, previous) => {
        record(channel, publication, epoch, previous);
        const next = Number(publication.data.toString()) + 1;
        if (next > 300 || next % 3 !== index) return;
        void publish(client, 'talk', String(next), next % 7 === 0 ? KEPT : PLAIN);
      };
    });
    const [opener] = clients;
    if (opener !== undefined) await publish(opener, 'talk', '0');
    for (const { events } of clients) {
      await events.until('talk', 301);
      t.same(
        events.texts('talk'),
        Array.from({ length: 301 }, (_, index) => String(index)),
      );
    }
  });

  t.test(`${name}: acknowledged publications of turns at two processes keep their order`, async (t) => {
    const engine = await factory(t);
    const clients = await Promise.all([engine.client(), engine.client(), engine.client()]);
    await Promise.all(clients.map(({ broker }) => broker.subscribe('turns')));
    const values = numbered('turn', 100);
    for (const [index, value] of values.entries()) {
      const client = clients[index % 2];
      if (client !== undefined) await publish(client, 'turns', value, { ...PLAIN, acknowledged: true });
    }
    for (const { events } of clients) {
      await events.until('turns', values.length);
      t.same(events.texts('turns'), values);
    }
  });

  t.test(`${name}: nothing published after subscribe resolved is missed`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    for (let round = 0; round < 50; round += 1) {
      const channel = `room${String(round)}`;
      await b.broker.subscribe(channel);
      await publish(a, channel, 'first');
    }
    for (let round = 0; round < 50; round += 1) await b.events.untilText(`room${String(round)}`, 'first');
  });

  t.test(`${name}: subscribers come and go under a stream of publications: no gap, no swap`, async (t) => {
    const engine = await factory(t);
    const [publisher, visitor] = [await engine.client(), await engine.client()];
    await publisher.broker.subscribe('room');
    const count = 3000;
    const sent = { count: 0 };
    const publishing = (async () => {
      while (sent.count < count) {
        const value = String(sent.count);
        sent.count += 1;
        await publish(publisher, 'room', value);
        if (sent.count % 3 === 0) await setImmediatePromise();
      }
    })();
    let visits = 0;
    while (sent.count < count) {
      const startOfVisit = visitor.events.all.length;
      await visitor.broker.subscribe('room');
      const from = sent.count;
      if (from === count) break;
      await waitFor('some publications of the visit', () => sent.count === count || sent.count > from + 12);
      await waitFor('what was published meanwhile', () => {
        const last = Number(visitor.events.all.at(-1)?.text ?? -1);
        return visitor.events.all.length > startOfVisit && last >= Math.min(from + 12, count - 1);
      });
      await visitor.broker.unsubscribe('room');
      const seen = visitor.events.all.slice(startOfVisit).map((event) => Number(event.text));
      const first = seen[0] ?? Infinity;
      t.ok(first <= from, 'the visit sees everything that was published after its subscribe resolved');
      t.same(
        seen,
        seen.map((_, index) => first + index),
        'without gap, repeat or swap',
      );
      visits += 1;
    }
    await publishing;
    t.ok(visits > 3, `${String(visits)} visits`);
    await publisher.events.until('room', count);
    t.same(
      publisher.events.texts('room'),
      Array.from({ length: count }, (_, index) => String(index)),
    );
  });

  t.test(`${name}: a publisher that alternates between history and none keeps its order`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    await a.broker.subscribe('mixed');
    await b.broker.subscribe('mixed');
    const pending: Promise<unknown>[] = [];
    for (let round = 0; round < 40; round += 1) {
      for (let index = 0; index < 10; index += 1) {
        const options = (round + index) % 7 === 0 ? KEPT : PLAIN;
        pending.push(publish(a, 'mixed', String(round * 10 + index), options));
      }
      pending.push(a.broker.publishJoin('mixed', info(`join${String(round)}`)));
      await setImmediatePromise();
    }
    await Promise.all(pending);
    const expected = Array.from({ length: 40 }, (_, round) => [
      ...Array.from({ length: 10 }, (_, index) => String(round * 10 + index)),
      `join${String(round)}`,
    ]).flat();
    for (const { events } of [a, b]) {
      await events.until('mixed', expected.length);
      t.same(events.texts('mixed'), expected);
    }
  });

  t.test(`${name}: a process that ends leaves the others alone`, async (t) => {
    const engine = await factory(t);
    const [a, b, c] = [await engine.client(), await engine.client(), await engine.client()];
    await a.broker.subscribe('room');
    await b.broker.subscribe('room');
    for (const value of numbered('m', 10)) await publish(a, 'room', value);
    await a.close();
    await publish(c, 'room', 'after');
    await b.events.untilText('room', 'after');
    t.same(b.events.texts('room'), [...numbered('m', 10), 'after']);
    await t.rejects(publish(a, 'room', 'x'), UnavailableError);
  });

  t.test(`${name}: a listener that publishes gets its turn, and the event loop too`, async (t) => {
    const engine = await factory(t);
    const a = await engine.client();
    await a.broker.subscribe('echo');
    const record = a.events.onPublication.bind(a.events);
    a.events.onPublication = (channel, publication, epoch, previous) => {
      record(channel, publication, epoch, previous);
      const next = Number(publication.data.toString()) + 1;
      if (next < 200) void publish(a, 'echo', String(next));
    };
    await publish(a, 'echo', '0');
    await a.events.until('echo', 200);
    t.same(
      a.events.texts('echo'),
      Array.from({ length: 200 }, (_, index) => String(index)),
    );
  });
}

function outageContract(t: Test, name: string, factory: EngineFactory): void {
  t.test(`${name}: an engine that is away rejects within a second and recovers by itself`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    await a.broker.subscribe('room');
    await b.broker.subscribe('room');
    await publish(a, 'room', 'before');
    await a.events.until('room', 1);
    await b.events.until('room', 1);
    await engine.stop();
    const attempts: readonly Promise<unknown>[] = [
      publish(a, 'kept', 'x', KEPT),
      a.broker.history('kept', ALL),
      a.broker.removeHistory('kept'),
      a.broker.subscribe('new'),
    ];
    for (const attempt of attempts) await t.rejects(within('a rejection', attempt), UnavailableError);
    // By now it is known that the engine is away.
    await t.rejects(publish(a, 'room', 'lost', { ...PLAIN, acknowledged: true }), UnavailableError);
    await t.rejects(publish(a, 'nobody here', 'lost'), UnavailableError);
    if (engine.goesOnAlone) {
      await publish(a, 'room', 'local');
      await a.broker.publishJoin('room', info('local join'));
      await a.events.untilText('room', 'local join');
    } else {
      await t.rejects(publish(a, 'room', 'lost'), UnavailableError);
      await t.rejects(a.broker.publishJoin('room', info('lost')), UnavailableError);
    }
    await engine.start();
    await a.events.untilInterrupted();
    await b.events.untilInterrupted();
    await publish(b, 'room', 'after');
    await a.events.untilText('room', 'after');
    await b.events.untilText('room', 'after');
    t.notOk(a.events.texts('room').includes('lost'), 'what was rejected was not delivered here either');
    t.same(
      a.events.texts('room').filter((text) => text.startsWith('local')),
      engine.goesOnAlone ? ['local', 'local join'] : [],
      'and what was delivered here does not come again',
    );
    t.same(b.events.texts('room'), ['before', 'after']);
    await a.broker.subscribe('new');
    await publish(b, 'new', 'works');
    await a.events.untilText('new', 'works');
    t.equal((await publish(a, 'kept', 'x', KEPT)).suppressed, false);
  });

  t.test(`${name}: a channel left during the outage stays left`, async (t) => {
    const engine = await factory(t);
    const a = await engine.client();
    await a.broker.subscribe('left');
    await a.broker.subscribe('kept');
    await engine.stop();
    await a.broker.unsubscribe('left').catch(() => undefined);
    await engine.start();
    await a.events.untilInterrupted();
    await publish(a, 'left', 'unheard');
    await publish(a, 'kept', 'marker');
    await a.events.untilText('kept', 'marker');
    t.same(a.events.texts('left'), []);
  });
}

function setImmediatePromise(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
