// `holdfast deploy` with both colours on this machine, a real HAProxy with TLS, and official clients that listen all the time.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Audience, blueGreen, stepsOf } from '../helpers/blue-green.ts';
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

t.test('a failed check disturbs nobody; a deployment that was cut goes on, or back', async (t) => {
  const place = await blueGreen(t);
  await place.start('blue');
  const audience = await Audience.gather(place, CLIENTS);

  // Another world: the newcomer does not hear what blue publishes.
  await place.configure('green', {
    engine: { type: 'redis', redis: { address: place.redisAddress, prefix: 'elsewhere' } },
  });
  const deaf = await place.deploy('--canary-timeout=3s');
  t.match(deaf, {
    code: 5,
    steps: ['hold', 'start', 'canary', 'restore', 'empty', 'remove', 'undone'],
    output: /what blue published did not arrive/,
  });
  await place.configure('green');

  t.match(await place.deploy('--start-command=echo no such unit; exit 5'), {
    code: 5,
    output: /no such unit/,
  });
  t.match(await place.deploy('--check-command=echo COLOUR is odd; false'), {
    code: 5,
    output: /green is odd/,
  });
  t.match(await place.serverStatus('blue'), /^UP/);
  t.equal(await place.serverStatus('green'), 'MAINT');
  t.equal(audience.connects, CLIENTS, 'nobody has noticed');

  // Killed before the old colour is drained, and then undone.
  const cut = place.begin('--json', '--settle=60s');
  await cut.waitUntil('the shift', () => stepsOf(cut.output).includes('settle'));
  t.match(await place.deploy(), { code: 1, output: /another deployment runs/ });
  await cut.stop('SIGKILL');
  t.match(await place.deploy('--to=blue'), { code: 1, output: /a deployment to green is under way/ });
  const undone = await place.deploy('--rollback');
  t.match(undone, { code: 0, steps: ['restore', 'empty', 'remove', 'undone'] }, undone.output);
  t.equal(audience.connects, CLIENTS, 'nobody has noticed');

  // The new colour dies after it has got clients.
  const dying = place.begin('--json', '--settle=60s');
  await dying.waitUntil('the shift', () => stepsOf(dying.output).includes('settle'));
  const late = await place.client().connect();
  place.kill('green');
  t.same(await dying.exited, { code: 5, signal: null }, dying.output);
  await late.next('connected');
  t.equal(audience.connects, CLIENTS, 'nobody else has noticed');

  // Interrupted in the middle of the drain, and gone on with.
  const interrupted = place.begin('--json');
  await interrupted.waitUntil(
    'the drain',
    () => /"step":"drain".*"remaining"/.test(interrupted.output),
    60_000,
  );
  t.same(await interrupted.stop('SIGINT'), { code: 75, signal: null }, interrupted.output);
  const resumed = await place.deploy();
  t.match(resumed, { code: 0, steps: ['drain', 'stop', 'deployed'] }, resumed.output);
  await waitFor('everybody to be back', () => audience.connects === 2 * CLIENTS);
  t.same(await audience.hush(), [], 'nothing lost, repeated or swapped');
});
