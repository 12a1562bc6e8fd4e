// One of the new processes runs out of descriptors while connections move to it: the upgrade is given up, everybody is back
// where they were, and nobody is disconnected.
import t, { type Test } from 'tap';
import { Anchors } from '../helpers/anchors.ts';
import { Crowd, CROWD_CHANNELS } from '../helpers/crowd.ts';
import { startGateway } from '../helpers/gateway.ts';
import { childPids, starve } from '../helpers/processes.ts';
import { currentPrimary, stopCurrent, upgrade } from '../helpers/upgrading.ts';
import { waitFor } from '../helpers/wait-for.ts';

const CLIENTS = 10;
/** Half of them on each worker: more than have to be refused before it is given up. */
const ANCHORS = 12;
const LIMIT_MS = 60_000;

/** `victims` of the new primary have no descriptors while the anchors are to move. */
async function withoutDescriptors(
  t: Test,
  victims: (successor: number) => Promise<readonly number[]>,
): Promise<void> {
  const anchors = await Anchors.forge(t);
  const gateway = await startGateway(t, {
    config: {
      channel: CROWD_CHANNELS,
      app: anchors.app,
      handoff: { reply_timeout: '100ms', patience: '60s' },
    },
  });
  // Requests need descriptors of their own.
  const crowd = new Crowd({ gateway, url: gateway.wsUrl, clients: CLIENTS, withoutApi: true });
  await crowd.gather(t);
  await anchors.drop(t, gateway, ANCHORS);
  crowd.talk();
  const workers = await gateway.workerPids();

  let [successor, moved] = [0, 0];
  let feeds: readonly (() => Promise<void>)[] = [];
  const feed = (): Promise<unknown> => Promise.all(feeds.map((give) => give()));
  let fed: Promise<unknown> | undefined;
  const ended = upgrade(t, gateway, (step) => {
    successor = step.successor;
    if (step.state === 'moving') ({ moved } = step);
    // What has got there can only come back through somebody who has some.
    if (step.state === 'putting-back') fed ??= feed();
  });
  await waitFor('only anchors to be left', () => moved >= CLIENTS / 2, LIMIT_MS);
  feeds = await Promise.all((await victims(successor)).map((pid) => starve(pid)));
  await anchors.letGo();
  t.match(await ended, {
    code: 'HOLDFAST_UPGRADE',
    message: /worker 1 is not replaced: connections do not arrive: /,
  });
  await fed;
  t.equal(currentPrimary(gateway), gateway.child.pid);
  t.same(await childPids(gateway.child.pid), workers, 'nobody else is left');
  const replies = await anchors.replies();
  t.ok(
    replies.every((reply) => reply === 'let go'),
    'everybody has a reply',
  );
  t.equal(anchors.clients.filter((client) => client.count('connecting') > 1).length, 0);
  await crowd.hush();
  t.same(crowd.faults().slice(0, 10), []);
  const isCounted = async (): Promise<boolean> => (await gateway.metric('connections')) === CLIENTS + ANCHORS;
  await waitFor('everybody to be counted once', isCounted);
  const next = await gateway.command(t, 'upgrade');
  t.equal(next.exit.code, 0, next.output);
  await waitFor('the same there', isCounted);
  await stopCurrent(gateway);
}

t.test('the new workers', (t) => withoutDescriptors(t, childPids));

t.test('the new primary', (t) => withoutDescriptors(t, async (successor) => [successor]));
