import t from 'tap';
import type { Subscription } from '../../../src/connection/subscription.ts';
import type { Batch } from '../../../src/hub/batch.ts';
import { HubChannel, type PassDeps } from '../../../src/hub/channel.ts';
import { type ServingDeps, serveBatch, serveItem } from '../../../src/hub/serving.ts';
import { jsonCodec } from '../../../src/protocol/json-codec.ts';
import { protobufCodec } from '../../../src/protocol/protobuf-codec.ts';
import { WireFormats } from '../../../src/protocol/wire-format.ts';
import { FakeTransport } from '../../helpers/fake-transport.ts';
import { LoneConnections, wire } from '../../helpers/lone-connection.ts';
import { below, seeded } from '../../helpers/random.ts';
import { joined, published, subscription } from '../../helpers/subscriptions.ts';

const codecs = { json: jsonCodec, protobuf: protobufCodec };

const at = (offset: number, epoch = 'e1') => ({ positioned: true, offset, epoch });
const even = (tags: Readonly<Record<string, string>> | undefined): boolean => tags?.['n'] === 'even';

/** A channel with members, served for real. */
class Stage {
  readonly all = new LoneConnections();
  readonly channel = new HubChannel('ch');
  readonly counters = { delivered: 0 };
  readonly insufficient: Subscription[] = [];
  takenBytes = 0;
  readonly passes: [publishedAtWallMs: number, subscribers: number][] = [];
  readonly serving: ServingDeps = {
    codecs,
    counters: this.counters,
    onInsufficientState: (which) => {
      this.insufficient.push(which);
      this.channel.members.delete(which);
    },
  };
  /** What else happens when a subscriber is served. */
  onServe: (which: Subscription, batch: Batch) => void = () => undefined;
  readonly pass: PassDeps = {
    codecs,
    serve: (which, batch) => {
      serveBatch(this.serving, which, batch);
      this.onServe(which, batch);
    },
    onPassDone: (publishedAtWallMs, subscribers) => this.passes.push([publishedAtWallMs, subscribers]),
    onTaken: (bytes) => {
      this.takenBytes += bytes;
    },
  };

  member(
    ...args: Partial<Parameters<typeof subscription> extends [unknown, ...infer Rest] ? Rest : never>
  ): Subscription {
    const [over, matches] = args;
    const made = subscription(this.all.live(), over, matches);
    return this.admit(made);
  }

  admit(made: Subscription): Subscription {
    made.since = this.channel.sequence;
    this.channel.members.add(made);
    return made;
  }

  /** Serves all there is. */
  run(limit = Infinity): number {
    const served = this.channel.step(limit, this.pass);
    this.all.flush();
    return served;
  }

  data(of: Subscription): unknown[] {
    return wire(of.connection).pushes.flatMap((push) => {
      const { pub } = push;
      return Object(pub) === pub ? [Object(pub).data] : [Object.keys(push).at(-1)];
    });
  }

  /** Publications in each frame after the connect reply. */
  frameSizes(of: Subscription): number[] {
    return wire(of.connection)
      .frames.slice(1)
      .map(({ length }) => length);
  }
}

t.test('what is added goes to every member once, in order', async (t) => {
  const stage = new Stage();
  const members = [stage.member(), stage.member(), stage.member()];
  for (const data of ['a', 'b', 'c']) stage.channel.add(published(data));
  const { pendingBytes } = stage.channel;
  t.ok(stage.channel.hasWork);
  t.equal(stage.run(), 3);
  t.notOk(stage.channel.hasWork);
  t.strictSame([stage.takenBytes, stage.channel.pendingBytes], [pendingBytes, 0]);
  for (const member of members) t.strictSame(stage.data(member), ['a', 'b', 'c']);
  t.equal(stage.counters.delivered, 9);
  t.strictSame(stage.passes, [[1, 3]]);
  t.equal(stage.run(), 0);
});

t.test('what is delivered in one pass is one frame, whose bytes all members share', async (t) => {
  const stage = new Stage();
  const members = [stage.member(), stage.member({ positioned: true, epoch: 'e1' })];
  stage.channel.add(published(1, 1));
  stage.channel.add(published(2, 2));
  stage.run();
  for (const member of members) t.strictSame(stage.frameSizes(member), [2]);
  const [first, second] = members.map((member) => wire(member.connection).writes[1]);
  t.ok(first !== undefined && first === second, 'the very same buffer');
});

t.test('each encoding is encoded once', async (t) => {
  const stage = new Stage();
  const writes = [0, 1, 2].map(() => {
    const transport = new FakeTransport(WireFormats.websocketProtobuf);
    const connection = stage.all.open(transport);
    connection.dispatch({ type: 'command', kind: 'connect' });
    connection.dispatch({ type: 'accepted', nowMs: 0, expireAtMs: Infinity, jitter: 0 });
    stage.admit(subscription(connection));
    return transport.writes;
  });
  const text = stage.member();
  stage.channel.add(published({ a: 1 }));
  stage.run();
  t.strictSame(stage.data(text), [{ a: 1 }]);
  t.ok(writes[0]?.[0] !== undefined && writes.every(([written]) => written === writes[0]?.[0]));
});

t.test('large batches are cut: by items, by bytes, and where joins begin', async (t) => {
  const stage = new Stage();
  const member = stage.member({ joinLeavePushes: true });
  for (let n = 0; n < 100; n += 1) stage.channel.add(published(n));
  stage.run();
  t.strictSame(stage.frameSizes(member), [64, 36]);

  const wide = new Stage();
  const reader = wide.member();
  for (let n = 0; n < 3; n += 1) wide.channel.add(published('x'.repeat(3_000)));
  wide.run();
  t.strictSame(wide.frameSizes(reader), [3]);

  const mixed = new Stage();
  const both = mixed.member({ joinLeavePushes: true });
  const neither = mixed.member();
  for (const event of [published(1), joined('x'), joined('y'), published(2)]) mixed.channel.add(event);
  mixed.run();
  t.strictSame(mixed.data(both), [1, 'join', 'join', 2]);
  t.strictSame(mixed.frameSizes(both), [1, 2, 1]);
  t.strictSame(mixed.data(neither), [1, 2]);
});

t.test('no frame is much larger than what clients take as one message', async (t) => {
  const stage = new Stage();
  const sizes: number[] = [];
  const member = stage.member();
  const pass: PassDeps = {
    ...stage.pass,
    serve: (_, batch) => sizes.push(batch.frame(WireFormats.websocketJson, 'plain')?.length ?? 0),
  };
  for (let n = 0; n < 12; n += 1) stage.channel.add(published('x'.repeat(10_000)));
  stage.channel.add(published('x'.repeat(60_000)));
  stage.channel.add(published('x'));
  stage.channel.step(Infinity, pass);
  t.ok(member.live);
  t.strictSame(
    sizes.map((bytes) => Math.round(bytes / 10_000)),
    [3, 3, 3, 3, 6, 0],
  );
  t.equal(stage.channel.pendingBytes, 0);
});

t.test('a pass goes on where it stopped, whoever comes and goes meanwhile', async (t) => {
  const stage = new Stage();
  const members = Array.from({ length: 10 }, () => stage.member());
  stage.channel.add(published('first'));
  t.equal(stage.run(4), 4);
  t.ok(stage.channel.hasWork);
  const [served, unserved] = [members[1], members[7]];
  for (const gone of [served, unserved]) if (gone !== undefined) stage.channel.members.delete(gone);
  const late = stage.member();
  stage.channel.add(published('second'));
  const later = stage.member();
  while (stage.channel.hasWork) stage.run(3);
  for (const [index, member] of members.entries()) {
    const expected = index === 1 ? ['first'] : index === 7 ? [] : ['first', 'second'];
    t.strictSame(stage.data(member), expected, `member ${index}`);
  }
  t.strictSame(stage.data(late), ['second'], 'what was published before is not for a newcomer');
  t.strictSame(stage.data(later), []);
});

t.test('a member that leaves when served does not disturb the others', async (t) => {
  const stage = new Stage();
  const members = Array.from({ length: 6 }, () => stage.member());
  stage.onServe = (which) => {
    stage.channel.members.delete(which);
    const next = members[members.indexOf(which) + 1];
    if (members.indexOf(which) === 2 && next !== undefined) stage.channel.members.delete(next);
  };
  stage.channel.add(published(1));
  stage.run();
  t.strictSame(
    members.map((member) => stage.data(member).length),
    [1, 1, 1, 0, 1, 1],
  );
});

t.test('passes without members cost nothing and leave nothing', async (t) => {
  const stage = new Stage();
  for (let n = 0; n < 200; n += 1) stage.channel.add(published(n));
  t.equal(stage.run(), 0);
  t.notOk(stage.channel.hasWork);
  t.equal(stage.channel.pendingBytes, 0);
});

t.test('positions: old ones are skipped, gaps and other epochs are noticed', async (t) => {
  const cases: [name: string, state: object, got: unknown[], lost: boolean][] = [
    ['up to date', at(4), [5, 6], false],
    ['ahead by one: the first is known', at(5), [6], false],
    ['ahead of all', at(9), [], false],
    ['one is missing', at(3), [], true],
    ['another epoch', at(4, 'e0'), [], true],
    ['no epoch yet', at(4, ''), [5, 6], false],
    ['not watched', { positioned: false }, [5, 6], false],
  ];
  for (const [name, state, got, lost] of cases) {
    const stage = new Stage();
    const member = stage.member(state);
    stage.channel.add(published(5, 5));
    stage.channel.add(published(6, 6));
    stage.run();
    t.strictSame(stage.data(member), got, name);
    t.equal(stage.insufficient.length, lost ? 1 : 0, name);
    if (got.length > 0 && member.state.positioned) t.equal(member.state.offset, 6, name);
  }
});

t.test('a gap inside of a batch ends the subscription there', async (t) => {
  const stage = new Stage();
  const member = stage.member({ positioned: true, offset: 0, epoch: 'e1' });
  for (const offset of [1, 2, 4, 5]) stage.channel.add(published(offset, offset));
  stage.run();
  t.strictSame(stage.data(member), [1, 2]);
  t.strictSame(stage.insufficient, [member]);
});

t.test('a change of epoch inside of a batch is noticed by those who are watched', async (t) => {
  const stage = new Stage();
  const watched = stage.member({ positioned: true, offset: 7, epoch: 'e1' });
  const unwatched = stage.member();
  stage.channel.add(published('old', 8));
  stage.channel.add(published('new', 1, { epoch: 'e2' }));
  stage.run();
  t.strictSame(stage.data(watched), ['old']);
  t.strictSame(stage.insufficient, [watched]);
  t.strictSame(stage.data(unwatched), ['old', 'new']);
});

t.test('what a filter holds back counts as served', async (t) => {
  const stage = new Stage();
  const member = stage.member({ positioned: true, offset: 0, epoch: 'e1' }, even);
  for (const offset of [1, 2, 3, 4, 5]) {
    stage.channel.add(published(offset, offset, { tags: { n: offset % 2 === 0 ? 'even' : 'odd' } }));
  }
  stage.run();
  t.strictSame(stage.data(member), [2, 4]);
  t.equal(member.state.offset, 5);
  t.strictSame(stage.insufficient, []);
});

t.test('a payload without a form in JSON ends only JSON connections', async (t) => {
  const stage = new Stage();
  const json = stage.member();
  const transport = new FakeTransport(WireFormats.websocketProtobuf);
  const binary = stage.all.open(transport);
  binary.dispatch({ type: 'command', kind: 'connect' });
  binary.dispatch({ type: 'accepted', nowMs: 0, expireAtMs: Infinity, jitter: 0 });
  stage.admit(subscription(binary));
  stage.channel.add(published('fine'));
  stage.channel.add({
    kind: 'publication',
    publication: { data: Buffer.from([0xff]), offset: 0, time: 1 },
    epoch: '',
    previous: undefined,
  });
  stage.run();
  t.equal(wire(json.connection).closedWith?.code, 3506);
  t.strictSame(stage.data(json), ['fine'], 'what came before it was delivered');
  t.notOk(binary.isClosed);
  t.equal(transport.writes.length, 1);
});

t.test('what waits can be thrown away; a pass in progress is brought to its end', async (t) => {
  const stage = new Stage();
  const members = Array.from({ length: 4 }, () => stage.member());
  stage.channel.add(published('begun'));
  stage.run(2);
  stage.channel.add(published('dropped'));
  stage.channel.add(published('dropped'));
  t.equal(stage.channel.dropPending(), 2);
  t.equal(stage.channel.pendingBytes, 0);
  stage.run();
  for (const member of members) t.strictSame(stage.data(member), ['begun']);
});

t.test('what comes while somebody joins is kept for it', async (t) => {
  const { channel } = new Stage();
  channel.add(published('before'));
  const since = channel.beginJoin();
  channel.add(published('a'));
  const second = channel.beginJoin();
  channel.add(published('b'));
  const names = (from: number): unknown =>
    channel
      .itemsSince(from)
      ?.map(({ event }) => event.kind === 'publication' && event.publication.data.toString());
  t.strictSame(names(since), ['"a"', '"b"']);
  channel.endJoin();
  t.strictSame(names(second), ['"b"'], 'as long as one is still joining');
  channel.endJoin();
  t.ok(channel.isEmpty);
  channel.beginJoin();
  t.strictSame(channel.itemsSince(since), undefined, 'what happened between two joinings is not known');
});

t.test('the log of a joining is bounded in items and bytes', async (t) => {
  const many = new HubChannel('ch');
  const first = many.beginJoin();
  for (let n = 0; n < 4_096; n += 1) many.add(published(n));
  t.equal(many.itemsSince(first)?.length, 4_096);
  many.add(published('one more'));
  t.ok(many.itemsSince(first) === undefined, 'the first joiner has missed something');
  t.equal(many.itemsSince(first + 1)?.length, 4_096);

  const large = new HubChannel('ch');
  const since = large.beginJoin();
  for (let n = 0; n < 200; n += 1) large.add(published('x'.repeat(60_000)));
  t.ok(large.itemsSince(since) === undefined);
  const keptBytes = (large.itemsSince(since + 150) ?? []).reduce((sum, { bytes }) => sum + bytes, 0);
  t.ok(keptBytes > 0 && keptBytes <= 4_194_304, `${keptBytes} bytes are kept`);
});

t.test('any interleaving gives everyone what was published during its membership, in order', async (t) => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const roll = seeded(seed);
    const stage = new Stage();
    const log: number[] = [];
    const members: { readonly which: Subscription; readonly from: number; until: number }[] = [];
    for (let step = 0; step < 150; step += 1) {
      const dice = roll();
      if (dice < 0.35) {
        log.push(log.length + 1);
        stage.channel.add(published(log.length, log.length));
      } else if (dice < 0.5) {
        const state = { positioned: roll() < 0.5, offset: log.length, epoch: 'e1' };
        members.push({ which: stage.member(state), from: log.length, until: Infinity });
      } else if (dice < 0.55) {
        const leaver = members[below(roll, members.length || 1)];
        if (leaver !== undefined && stage.channel.members.delete(leaver.which)) {
          leaver.until = stage.data(leaver.which).length;
        }
      } else stage.run(1 + below(roll, 5));
    }
    while (stage.channel.hasWork) stage.run(7);
    for (const [index, { which, from, until }] of members.entries()) {
      const expected = log.slice(from, until === Infinity ? undefined : from + until);
      t.strictSame(stage.data(which), expected, `seed ${seed}, member ${index}`);
    }
    t.strictSame(stage.insufficient, [], `seed ${seed}`);
  }
});

t.test('an item is served alone as in a batch', async (t) => {
  const stage = new Stage();
  const member = stage.member({ positioned: true, offset: 0, epoch: 'e1' });
  stage.channel.beginJoin();
  stage.channel.add(published(1, 1));
  stage.channel.add(published(2, 2));
  for (const item of stage.channel.itemsSince(0) ?? []) serveItem(stage.serving, member, item);
  stage.run();
  t.strictSame(stage.data(member), [1, 2], 'and does not come again with the pass');
});
