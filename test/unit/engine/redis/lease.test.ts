// A lease is renewed, lost and followed by another; and only what is surely dead is swept.
import t, { type Test } from 'tap';
import { Keys } from '../../../../src/engine/redis/keys.ts';
import { Lease } from '../../../../src/engine/redis/lease.ts';
import { loadScripts } from '../../../../src/engine/redis/scripts.ts';
import type { ScriptCall, Shard } from '../../../../src/engine/redis/shard.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { waitFor } from '../../../helpers/wait-for.ts';

/** Renewals come each 20 ms of real time; of the lease's own time the test disposes. */
const PRESENCE_TTL_MS = 100;
const LEASE_MS = 60;

/** What Redis would answer. */
class LeaseTable implements Shard {
  readonly name = 'table';
  readonly up = true;
  readonly publishCommand = 'PUBLISH';
  readonly nodes = [];
  readonly health = [];
  renewals = 0;
  isHeld = true;
  isAway = false;
  isMine = true;
  /** Member and end, in turns. */
  expired: string[] = [];
  readonly calls: string[] = [];

  open(): void {
    this.isAway = false;
  }
  async close(): Promise<void> {}
  refusal(): undefined {
    return undefined;
  }
  async call(_tag: string, command: string, args: readonly unknown[]): Promise<unknown> {
    this.calls.push([command, ...args.map(String)].join(' '));
    if (command === 'ZREM')
      this.expired = this.expired.filter((_, at) => this.expired[at - (at % 2)] !== args[1]);
    return 1;
  }
  async run(_tag: string, { script }: ScriptCall): Promise<unknown> {
    if (this.isAway) throw new Error('away');
    if (script.name === 'lease-claim') return this.isMine ? 1 : 0;
    this.renewals += 1;
    const { isHeld } = this;
    this.isHeld = true;
    return isHeld ? [1, this.expired.map((each) => Buffer.from(each))] : [0, []];
  }
  async subscribe(): Promise<void> {}
  unsubscribe(): void {}
}

function setUp(t: Test) {
  const clock = new FakeClock();
  const table = new LeaseTable();
  const swept: string[] = [];
  let held = 0;
  let owners = 0;
  const lease = new Lease({
    clock,
    random: () => 0,
    keys: new Keys('hf'),
    scripts: loadScripts(),
    shard: table,
    node: 'me',
    presenceTtlMs: PRESENCE_TTL_MS,
    onHeld: () => (held += 1),
    onNewOwner: () => (owners += 1),
    sweep: async (owner) => void swept.push(owner),
  });
  t.teardown(() => lease.release(true));
  /** Lets so many renewals go by, each in time. */
  const renewals = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 1) {
      const seen = table.renewals;
      clock.advance(PRESENCE_TTL_MS / 5);
      await waitFor('a renewal', () => table.renewals > seen);
    }
  };
  return { clock, table, lease, swept, renewals, held: () => held, owners: () => owners };
}

t.test('it is renewed by itself until it is given back', async (t) => {
  const { lease, renewals, held, table } = setUp(t);
  await lease.renew();
  await renewals(3);
  t.ok(held() >= 4);
  t.equal(lease.counters.lost, 0);
  const { owner } = lease;
  t.equal(owner.length, 12);
  await lease.release(true);
  t.equal(table.calls.at(-1), `ZREM hf:l:{nodes} ${owner} me`);
});

t.test('whoever owns something is left to be swept', async (t) => {
  const { lease, table } = setUp(t);
  await lease.renew();
  await lease.release(false);
  t.equal(table.calls.at(-1), `ZADD hf:l:{nodes} XX 0 ${lease.owner} me`);
});

t.test('a lease that is lost is followed by that of a new owner', async (t) => {
  const { lease, table, owners, held } = setUp(t);
  await lease.renew();
  const before = lease.owner;
  table.isHeld = false;
  await lease.renew();
  t.not(lease.owner, before);
  t.equal(owners(), 1);
  t.equal(held(), 2);
  t.match(lease.counters, { renewed: 2, lost: 1, failed: 0 });
});

t.test('what may be lost in part is told to a new owner; the old one ends by itself', async (t) => {
  const { lease, table, owners, held } = setUp(t);
  await lease.renew();
  const before = lease.owner;
  const renewing = lease.renew();
  // While an answer for the old owner is on its way.
  lease.abandon();
  t.not(lease.owner, before);
  t.equal(owners(), 1);
  await renewing;
  t.equal(table.renewals, 3, 'the new owner has a lease, too');
  t.equal(held(), 2, 'and only then it holds');
  t.same(table.calls, [], 'nothing was done to the old one');
});

t.test('one that cannot be renewed is tried again', async (t) => {
  const { lease, table, renewals } = setUp(t);
  await lease.renew();
  table.isAway = true;
  await t.rejects(lease.renew());
  await waitFor('another attempt', () => lease.counters.failed >= 2);
  table.isAway = false;
  await renewals(1);
  t.ok(lease.counters.renewed >= 2);
});

t.test('what was given back is swept at once', async (t) => {
  const { lease, table, swept } = setUp(t);
  table.expired = ['dead1 node1', '0'];
  await lease.renew();
  await waitFor('the sweep', () => lease.counters.swept === 1);
  t.same(swept, ['dead1']);
  t.ok(table.calls.includes('ZREM hf:l:{nodes} dead1 node1'));
  t.ok(table.calls.includes('DEL hf:l:{nodes}dead1'), 'and the claim is given up');
});

t.test('what expired is swept by one whose own lease held for longer than a lease', async (t) => {
  const { lease, table, swept, renewals } = setUp(t);
  table.expired = ['dead1 node1', '123456'];
  await lease.renew();
  await renewals(LEASE_MS / (PRESENCE_TTL_MS / 5));
  t.same(swept, [], 'perhaps it was Redis that was away');
  await renewals(2);
  await waitFor('the sweep', () => swept.length > 0);
  t.same(swept, ['dead1']);
});

t.test('after a late renewal others get their time again', async (t) => {
  const { clock, lease, table, swept, renewals } = setUp(t);
  await lease.renew();
  await renewals(5);
  clock.advance(10 * PRESENCE_TTL_MS);
  table.expired = ['other node2', '123456'];
  await renewals(2);
  t.same(swept, []);
  table.expired = [];
  await renewals(3);
  t.same(swept, [], 'it came back');
});

t.test('what another has claimed is left to it', async (t) => {
  const { lease, table, swept, renewals } = setUp(t);
  table.expired = ['dead1 node1', '0'];
  table.isMine = false;
  await lease.renew();
  await renewals(2);
  t.same(swept, []);
});
