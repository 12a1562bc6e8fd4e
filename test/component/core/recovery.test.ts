import t from 'tap';
import { Core, type CoreClient, type CoreOptions } from '../../helpers/core-harness.ts';
import { below, pick, type Roll, seeded } from '../../helpers/random.ts';
import { isJson } from '../../helpers/server-frames.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const STREAM = {
  allow_subscribe_for_client: true,
  allow_subscribe_for_anonymous: true,
  history_size: 40,
  history_ttl: '300s',
  force_recovery: true,
};

const options: CoreOptions = {
  client: { allow_anonymous_connect_without_token: true, recovery_max_publication_limit: 30 },
  channel: {
    namespaces: [
      { name: 'stream', ...STREAM },
      { name: 'cache', ...STREAM, force_recovery_mode: 'cache' },
      { name: 'auto', ...STREAM, force_recovery_mode: 'cache', auto_cache_recover: true },
      { name: 'asked', ...STREAM, force_recovery: false, allow_recovery: true, allow_positioning: true },
      { name: 'plain', allow_subscribe_for_client: true, allow_subscribe_for_anonymous: true },
    ],
  },
};

const turn = (): Promise<void> => new Promise(setImmediate);

t.test('the first subscribe tells the position, from which a later one recovers', async (t) => {
  const core = await Core.start(t, options);
  const channel = 'stream:a';
  const first = await (await core.connected()).subscribe(channel);
  t.match(first, { recoverable: true, positioned: true, epoch: /.+/ });
  t.equal(first['offset'], undefined, 'offset 0 is left out');
  const { epoch } = first;
  for (const n of [1, 2, 3]) await core.publish(channel, n);

  const back = await core.connected();
  const recovered = await back.subscribe(channel, { recover: true, offset: 1, epoch, recoverable: true });
  t.match(recovered, { recovered: true, was_recovering: true, offset: 1, epoch });
  t.match(recovered['publications'], [
    { data: 2, offset: 2 },
    { data: 3, offset: 3 },
  ]);

  const upToDate = await (await core.connected()).subscribe(channel, { recover: true, offset: 3, epoch });
  t.match(upToDate, { recovered: true, was_recovering: true, offset: 3 });
  t.equal(upToDate['publications'], undefined);
});

t.test('what cannot be recovered is said', async (t) => {
  const core = await Core.start(t, options);
  const channel = 'stream:a';
  for (let n = 1; n <= 50; n += 1) await core.publish(channel, n);
  const { epoch } = await (await core.connected()).subscribe(channel);
  const lost = { was_recovering: true, epoch, offset: 50 };
  const cases: [name: string, since: object][] = [
    ['trimmed', { offset: 5, epoch }],
    ['more than the limit', { offset: 15, epoch }],
    ['another epoch', { offset: 49, epoch: 'other' }],
    ['from the future', { offset: 51, epoch }],
  ];
  for (const [name, since] of cases) {
    const client = await core.connected();
    const result = await client.subscribe(channel, { recover: true, ...since });
    t.match(result, lost, name);
    t.equal(result['recovered'], undefined, name);
    t.equal(result['publications'], undefined, name);
    const strict = await core.connected();
    const refused = await strict.command('subscribe', { channel, recover: true, flag: 3, ...since });
    t.match(refused, { error: { code: 112, message: 'unrecoverable position' } }, name);
    t.equal(strict.connection.subscriptions.size, 0, name);
  }
  const fine = await core.connected();
  t.match(await fine.subscribe(channel, { recover: true, flag: 3, offset: 20, epoch }), { recovered: true });
});

t.test('cache recovery brings the newest value only', async (t) => {
  const core = await Core.start(t, options);
  for (const channel of ['cache:a', 'auto:a']) {
    const empty = await (await core.connected()).subscribe(channel, { recover: true });
    t.equal(empty['recovered'], undefined, `${channel}: nothing to bring`);
    for (const n of [1, 2, 3]) await core.publish(channel, n);
    const { epoch } = empty;
    const behind = await (await core.connected()).subscribe(channel, { recover: true, offset: 1, epoch });
    t.match(behind, {
      recovered: true,
      was_recovering: true,
      publications: [{ data: 3, offset: 3 }],
      offset: 3,
    });
    t.equal(Object(behind['publications']).length, 1);
    const known = await (await core.connected()).subscribe(channel, { recover: true, offset: 3, epoch });
    t.match(known, { recovered: true, was_recovering: true, offset: 3 });
    t.equal(known['publications'], undefined);
  }
  const unasked = await (await core.connected()).subscribe('cache:a');
  t.equal(unasked['recovered'], undefined);
  const automatic = await (await core.connected()).subscribe('auto:a');
  t.match(automatic, { recovered: true, publications: [{ data: 3 }] });
});

t.test('who may ask for what', async (t) => {
  const core = await Core.start(t, options);
  const nothing = await (await core.connected()).subscribe('asked:a');
  t.strictSame(nothing, {});
  t.match(await (await core.connected()).subscribe('asked:a', { positioned: true }), {
    positioned: true,
    recoverable: undefined,
    epoch: /.+/,
  });
  t.match(await (await core.connected()).subscribe('asked:a', { recoverable: true }), {
    positioned: true,
    recoverable: true,
  });
  const plain = await (await core.connected()).subscribe('plain:a', { recoverable: true, positioned: true });
  t.strictSame(plain, {}, 'no history, no recovery');
});

/** What an application sees in one channel: everything, or that it has to start over. */
class Application {
  readonly name: string;
  readonly core: Core;
  readonly channel: string;
  client: CoreClient | undefined;
  epoch = '';
  offset = 0;
  /** Offsets seen since the last fresh start, which must follow each other. */
  readonly seen: number[] = [];
  freshStarts = 0;
  recoveries = 0;
  faults: string[] = [];

  constructor(name: string, core: Core, channel: string) {
    this.name = name;
    this.core = core;
    this.channel = channel;
  }

  comeBack(): void {
    const client = this.core.client();
    const inner = client.transport.onMessage;
    let isSubscribed = false;
    client.transport.onMessage = (message) => {
      inner(message);
      const { subscribe, push } = message;
      if (isJson(subscribe)) {
        isSubscribed = true;
        this.#onSubscribed(subscribe);
      } else if (isJson(push) && isJson(push['pub'])) {
        if (!isSubscribed) this.faults.push('a publication before the reply');
        this.#onPublication(push['pub']);
      } else if (isJson(push) && isJson(push['unsubscribe'])) {
        this.faults.push(`unsubscribed: ${JSON.stringify(push)}`);
      }
    };
    this.client = client;
    const { channel, offset, epoch } = this;
    const position = epoch === '' ? {} : { recover: true, offset, epoch };
    // In one frame, as SDKs do.
    client.send({ id: 1, connect: {} }, { id: 2, subscribe: { channel, ...position } });
  }

  leave(): void {
    this.client?.vanish();
    this.client = undefined;
  }

  #onSubscribed(result: Readonly<Record<string, unknown>>): void {
    const { recovered, epoch, offset = 0, publications = [] } = result;
    if (recovered === true) {
      this.recoveries += 1;
      if (offset !== this.offset)
        this.faults.push(`recovered from ${String(offset)} instead of ${this.offset}`);
    } else {
      this.freshStarts += 1;
      this.seen.length = 0;
      this.offset = Number(offset);
    }
    this.epoch = String(epoch);
    if (Array.isArray(publications)) for (const each of publications) this.#onPublication(Object(each));
  }

  #onPublication(publication: Readonly<Record<string, unknown>>): void {
    const { offset, data } = publication;
    if (offset !== this.offset + 1) this.faults.push(`${String(offset)} after ${this.offset}`);
    if (data !== offset) this.faults.push(`${String(data)} at offset ${String(offset)}`);
    this.offset = Number(offset);
    this.seen.push(this.offset);
  }
}

/** Publications come from `publisher`, in one order, and so through the engine. */
async function storm(
  core: Core,
  publisher: Core,
  roll: Roll,
  channel: string,
): Promise<{ readonly all: Application[]; readonly published: number }> {
  const all = Array.from({ length: 12 }, (_, n) => new Application(`client ${n}`, core, channel));
  let published = 0;
  for (let step = 0; step < 600; step += 1) {
    const dice = roll();
    const one = pick(roll, all);
    if (dice < 0.3) {
      // Sometimes a burst that history cannot hold, so that positions are lost.
      const burst = roll() < 0.02 ? 60 : 1 + below(roll, 4);
      for (let n = 0; n < burst; n += 1) {
        published += 1;
        void publisher.publish(channel, published);
      }
    } else if (dice < 0.55) {
      if (one.client === undefined) one.comeBack();
      else one.leave();
    } else if (dice < 0.6) {
      one.leave();
      one.comeBack();
    } else for (let turns = below(roll, 6); turns > 0; turns -= 1) await turn();
  }
  for (const one of all) if (one.client === undefined) one.comeBack();
  published += 1;
  await publisher.publish(channel, published);
  return { all, published };
}

t.test(
  'however clients come and go, each sees every publication once, or is told that it did not',
  async (t) => {
    const core = await Core.start(t, options);
    const other = await Core.start(t, { ...options, engine: core.engine });
    let recoveries = 0;
    let losses = 0;
    for (let seed = 1; seed <= 8; seed += 1) {
      const channel = `stream:${seed}`;
      const { all, published } = await storm(core, seed % 2 === 0 ? core : other, seeded(seed), channel);
      for (const one of all) {
        await waitFor(`${one.name} of seed ${seed} to be up to date`, () => one.offset === published);
        t.strictSame(one.faults, [], `seed ${seed}, ${one.name}`);
        recoveries += one.recoveries;
        losses += Math.max(0, one.freshStarts - 1);
        one.leave();
      }
    }
    t.ok(recoveries > 200, `${recoveries} recoveries`);
    t.ok(losses > 0, `${losses} times a position was lost and said so`);
    await waitFor('everything to be given up', () => core.hub.channelCount === 0);
  },
);
