// Personal channels in single-connection mode: the newest connection of a user stays, whichever worker has the others.
import t from 'tap';
import { twoWorkers } from '../../helpers/two-workers.ts';

t.test('a new connection ends the others of its user, on every worker', async (t) => {
  const host = await twoWorkers(t, {
    client: { subscribe_to_user_personal_channel: { enabled: true, single_connection: true } },
  });
  const bystander = await host.client('bob');
  const first = await host.client('ann');
  const second = await host.client('ann');
  const ended = await first.next('disconnected');
  t.match(ended, { code: 3504 });
  const third = await host.client('ann');
  t.match(await second.next('disconnected'), { code: 3504 });
  t.equal(third.client.state, 'connected');
  t.equal(bystander.client.state, 'connected');
});
