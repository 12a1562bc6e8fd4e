// `holdfast deploy` with both colours on this machine, a real HAProxy with TLS, and official clients that listen all the time.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Audience, blueGreen } from '../helpers/blue-green.ts';
import { waitFor } from '../helpers/wait-for.ts';

const FORWARD = ['hold', 'start', 'canary', 'shift', 'settle', 'drain', 'stop', 'deployed'];
const CLIENTS = 20;

t.test('from one colour to the other, under traffic', async (t) => {
  const place = await blueGreen(t);

  const dry = await place.deploy('--dry-run');
  t.match(dry, { code: 0, output: /"to": "blue"[^]*setsid/ });
  const first = await place.deploy();
  t.match(first, { code: 0, steps: FORWARD }, first.output);
  t.match(await place.serverStatus('blue'), /^UP/);

  const audience = await Audience.gather(place, CLIENTS);
  const second = await place.deploy('--check-command=echo COLOUR > $PLACE/checked');
  t.equal(await readFile(join(place.directory, 'checked'), 'utf8'), 'green\n');
  t.match(second, { code: 0, steps: FORWARD }, second.output);
  await waitFor('everybody to be back', () => audience.connects === 2 * CLIENTS);
  t.equal(await place.serverStatus('blue'), 'MAINT');
  t.match(await place.serverStatus('green'), /^UP/);
  // Who left first was back before the last one left.
  const left = [...second.output.matchAll(/"step":"drain".*"remaining":(\d+)/g)].map(([, count]) =>
    Number(count),
  );
  t.ok(
    left.some((count) => count > 0 && count < CLIENTS),
    `spread: ${left.join(' ')}`,
  );
  t.match(await place.log('blue'), '"msg":"drained"');

  const status = await place.deploy('--status');
  t.match(JSON.parse(status.output), {
    record: { from: 'blue', to: 'green', step: 'deployed' },
    colours: [{ state: 'stopped' }, { state: 'serving' }],
  });
  t.match(await place.deploy('--to=green'), { code: 1, output: /green serves already/ });

  t.same(await audience.hush(), [], 'nothing lost, repeated or swapped');
});
