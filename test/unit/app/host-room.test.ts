// When a host is full: places are for clients, descriptors for everything that is open.
import t from 'tap';
import { isFull } from '../../../src/app/host-room.ts';
import { configSchema } from '../../../src/config/schema.ts';

function configOf(connection_limit: number, workers: number) {
  return configSchema.parse({ client: { connection_limit }, workers });
}

t.test('places are shared out to the workers, rounded up, and only clients take them', async (t) => {
  const config = configOf(10, 4);
  t.notOk(isFull({ clients: 11, requests: 500, queued: 0 }, config, null), 'the twelfth place is free');
  t.ok(isFull({ clients: 12, requests: 0, queued: 0 }, config, null));
  t.ok(isFull({ clients: 8, requests: 0, queued: 4 }, config, null), 'who waits has a place, too');
});

t.test('descriptors are taken by requests as well', async (t) => {
  for (const limit of [0, 1000]) {
    const config = configOf(limit, 2);
    t.notOk(isFull({ clients: 60, requests: 30, queued: 9 }, config, 100));
    t.ok(isFull({ clients: 60, requests: 30, queued: 10 }, config, 100));
    t.ok(isFull({ clients: 0, requests: 100, queued: 0 }, config, 100));
  }
});

t.test('without a limit nobody is refused', async (t) => {
  t.notOk(isFull({ clients: 1e6, requests: 1e6, queued: 1e6 }, configOf(0, 2), null));
});
