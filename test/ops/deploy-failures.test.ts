// `holdfast deploy` that does not succeed: turned back, cut and undone, interrupted, with clients that listen all the time.
import t from 'tap';
import { Audience, blueGreen, stepsOf } from '../helpers/blue-green.ts';

const CLIENTS = 20;
const DEADLINE_MS = 60_000;

const drains = (output: string): boolean => /"step":"drain".*"remaining"/.test(output);

t.test('a failed check disturbs nobody; one that was interrupted goes on, or back', async (t) => {
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

  // The new colour dies after it has got clients.
  const dying = place.begin('--json', '--settle=60s');
  await dying.waitUntil('the shift', () => stepsOf(dying.output).includes('settle'));
  const late = await place.client().connect();
  place.kill('green');
  t.same(await dying.exited, { code: 5, signal: null }, dying.output);
  await late.next('connected');
  t.equal(audience.connects, CLIENTS, 'nobody else has noticed');

  // Interrupted in the middle of the drain, gone on with, killed, and taken back.
  const interrupted = place.begin('--json', '--window=10m');
  await interrupted.waitUntil('the drain', () => drains(interrupted.output), DEADLINE_MS);
  t.same(await interrupted.stop('SIGINT'), { code: 75, signal: null }, interrupted.output);
  const resumed = place.begin('--json', '--window=10m');
  await resumed.waitUntil('the drain', () => drains(resumed.output), DEADLINE_MS);
  t.same(stepsOf(resumed.output), ['drain']);
  t.match(await place.deploy(), { code: 1, output: /another deployment runs/ });
  await resumed.stop('SIGKILL');
  t.match(await place.deploy('--to=blue'), { code: 1, output: /a deployment to green is under way/ });
  const back = await place.deploy('--rollback');
  t.match(back, { code: 0, steps: ['restore', 'empty', 'remove', 'undone'] }, back.output);
  t.match(await place.serverStatus('blue'), /^UP/);
  t.ok(audience.connects < 2 * CLIENTS, 'those who were not closed have stayed');
  t.same(await audience.hush(), [], 'nothing lost, repeated or swapped');
});
