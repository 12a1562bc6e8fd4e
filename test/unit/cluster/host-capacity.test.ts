import t from 'tap';
import { hostRoom } from '../../../src/app/host-room.ts';
import type { HostRoom } from '../../../src/cluster/load/agent-score.ts';
import { hostCapacity } from '../../../src/cluster/load/host-capacity.ts';
import { configSchema } from '../../../src/config/schema.ts';

const ROOM: HostRoom = {
  connections: 5_000,
  connectionLimit: 20_000,
  loopLagMs: 50,
  cpuShare: 0.4,
  memoryShare: 0.45,
  outboxShare: 0,
};

t.test('the worst share is the utilisation of the host', async (t) => {
  t.same(hostCapacity(ROOM, true), {
    utilisation: { host: 0.5, connections: 0.25, cpu: 0.4, eventLoop: 0.1, memory: 0.5, outboxes: 0 },
    connectionLimit: 20_000,
    acceptHeadroom: 15_000,
    acceptRate: null,
  });
  t.match(hostCapacity({ ...ROOM, cpuShare: 0.97 }, true).utilisation, { host: 0.97, cpu: 0.97 });
  t.match(hostCapacity({ ...ROOM, loopLagMs: 5_000 }, true).utilisation, { host: 1, eventLoop: 1 });
  t.match(hostCapacity({ ...ROOM, outboxShare: 0.125 }, true).utilisation, { outboxes: 0.5 });
});

t.test('no room: full, draining, without a ready worker', async (t) => {
  t.match(hostCapacity({ ...ROOM, connections: 20_001 }, true), {
    utilisation: { host: 1, connections: 1 },
    acceptHeadroom: 0,
  });
  t.equal(hostCapacity(ROOM, false).acceptHeadroom, 0);
  t.match(hostCapacity({ ...ROOM, connectionLimit: 0 }, true), {
    utilisation: { connections: 1 },
    acceptHeadroom: 0,
  });
});

t.test('without a limit nothing is said of connections', async (t) => {
  t.match(hostCapacity({ ...ROOM, connectionLimit: undefined }, true), {
    utilisation: { connections: 0 },
    connectionLimit: null,
    acceptHeadroom: null,
  });
});

function limit(configured: number, connectionsAllowed: number | null): number | undefined {
  const status = { connections: 0, connectionsAllowed, workers: [] };
  const config = configSchema.parse({ client: { connection_limit: configured } });
  return hostRoom(status, config, { cpuShare: 0, memoryBytes: 1e9 }).connectionLimit;
}

t.test('the limit is what is reached first', async (t) => {
  t.equal(limit(1_000, 39_600), 1_000);
  t.equal(limit(100_000, 39_600), 39_600);
  t.equal(limit(0, 39_600), 39_600);
  t.equal(limit(1_000, null), 1_000);
  t.equal(limit(0, null), undefined);
});

t.test('the accept rate is a whole number, or not known', async (t) => {
  t.equal(hostCapacity(ROOM, true, 1234.5).acceptRate, 1235);
  t.equal(hostCapacity(ROOM, true).acceptRate, null);
});
