// A large history of the embedded engine over the replacement of the primary: all of it arrives, and nobody is kept waiting long.
import t from 'tap';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { type Gateway, startGateway } from '../helpers/gateway.ts';
import { stopCurrent } from '../helpers/upgrading.ts';

const CHANNELS = Number(process.env['TEST_CHANNELS'] ?? 500);
const PUBLICATIONS = 100;
const BYTES = 200;
const CHANNELS_AT_ONCE = 500;
const SAMPLES = 20;

const name = (index: number): string => `kept:${index}`;

async function fill(gateway: Gateway): Promise<void> {
  for (let first = 0; first < CHANNELS; first += CHANNELS_AT_ONCE) {
    const channels = Array.from({ length: CHANNELS_AT_ONCE }, (_, index) => name(first + index));
    for (let number = 1; number <= PUBLICATIONS; number += 1) {
      await gateway.api('broadcast', { channels, data: { number, text: 'x'.repeat(BYTES) } });
    }
  }
}

async function samples(gateway: Gateway): Promise<readonly unknown[]> {
  const step = Math.floor(CHANNELS / SAMPLES);
  const channels = Array.from({ length: SAMPLES }, (_, index) => name(index * step));
  return Promise.all(channels.map((channel) => gateway.api('history', { channel, limit: -1 })));
}

t.test(`${CHANNELS} channels with ${PUBLICATIONS} publications each`, async (t) => {
  const gateway = await startGateway(t, { config: { channel: CROWD_CHANNELS } });
  await fill(gateway);
  const before = await samples(gateway);
  t.match(before[0], { result: { offset: PUBLICATIONS, publications: { length: PUBLICATIONS } } });
  const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: 10 });
  await crowd.gather(t);
  crowd.talk();
  const { exit, output } = await gateway.command(t, 'upgrade');
  t.equal(exit.code, 0, output);
  t.same(await samples(gateway), before, 'epochs, offsets and publications');
  await crowd.hush();
  t.same(crowd.faults().slice(0, 10), []);
  const [given] = gateway.logged('engine given to another primary');
  t.comment(`engine handed over in ${String(given?.['tookMs'])} ms`);
  await gateway.api('publish', { channel: name(0), data: 'next' });
  t.match(await gateway.api('history', { channel: name(0), limit: 0 }), {
    result: { offset: PUBLICATIONS + 1 },
  });
  await stopCurrent(gateway);
});
