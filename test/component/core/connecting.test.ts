// The connect command of clients that are not the usual ones: those whose token came beside it, and those that only listen.
import t from 'tap';
import { WireFormats } from '../../../src/protocol/wire-format.ts';
import { connectionToken, Core } from '../../helpers/core-harness.ts';
import { FakeTransport } from '../../helpers/fake-transport.ts';
import { waitFor } from '../../helpers/wait-for.ts';

t.test('a token that came with the request counts when the command has none, and is forgotten', async (t) => {
  const core = await Core.start(t);
  const offeredToken = await connectionToken('ann');
  const ann = await core.connected({}, { session: { offeredToken } });
  t.equal(ann.connection.session.user, 'ann');
  t.notOk(JSON.stringify(ann.connection.snapshot()).includes(offeredToken));

  const bob = await core.connected({ token: await connectionToken('bob') }, { session: { offeredToken } });
  t.equal(bob.connection.session.user, 'bob', 'the one of the command comes first');
  t.equal(bob.connection.session.offeredToken, '');

  const wrong = core.client({ session: { offeredToken: `${offeredToken}x` } });
  wrong.send({ id: 1, connect: {} });
  t.equal(await wrong.closed(), 'invalid_token');
  t.notOk(core.logs.join('').includes(offeredToken));
});

t.test('a listener is told who it is by a push, with what its session needs', async (t) => {
  const core = await Core.start(t);
  const transport = new FakeTransport(WireFormats.uniWebsocket);
  const client = core.client({ transport, session: { secret: 'its-secret' } });
  client.send({ id: 1, connect: { token: await connectionToken('ann', { channels: ['news'] }) } });
  t.match(await waitFor('the push', () => transport.messages[0]), {
    connect: {
      client: client.connection.session.client,
      session: 'its-secret',
      node: 'node-1',
      ping: 25,
      subs: { news: {} },
      pong: undefined,
    },
    id: undefined,
  });
});

t.test('a listener whose connect fails is closed, by the table or by configuration', async (t) => {
  const expired = await connectionToken('ann', { expiresAtMs: Date.now() - 60_000 });
  const unknown = await connectionToken('ann', { channels: ['no:such'] });
  const transform = { to: { code: 4510, reason: 'log in again' }, code: 109 };
  for (const [client, token, cause] of [
    [{}, expired, { code: 3005 }],
    [{}, unknown, { code: 3004 }],
    [{}, '', { code: 3501 }],
    [{ enabled: true, transforms: [transform] }, expired, { code: 4510, reason: 'log in again' }],
    [{ enabled: true, transforms: [transform] }, unknown, { code: 3004 }],
    [{ enabled: false, transforms: [transform] }, expired, { code: 3005 }],
  ] as const) {
    const core = await Core.start(t, { client: { connect_code_to_unidirectional_disconnect: client } });
    const transport = new FakeTransport(WireFormats.uniWebsocket);
    core.client({ transport }).send({ id: 1, connect: { token } });
    t.match(await waitFor('the close', () => transport.closedWith), cause);
    t.same(transport.writes, [], 'no reply');
  }
});
