// The official client's Protobuf build against our codec: every number of a field is checked by somebody else's schema.
import {
  Centrifuge,
  type ConnectedContext,
  type DisconnectedContext,
  type JoinContext,
  type LeaveContext,
  type MessageContext,
  type PublicationContext,
  type ServerPublicationContext,
  type ServerSubscribedContext,
  type SubscribedContext,
  type UnsubscribedContext,
} from 'centrifuge/build/protobuf';
import t from 'tap';
import type { Command } from '../../../src/protocol/commands.ts';
import { protobufCodec } from '../../../src/protocol/protobuf-codec.ts';
import type { Publication } from '../../../src/protocol/publication.ts';
import { ReplyErrors } from '../../../src/protocol/reply-errors.ts';
import { codecPeer } from '../../helpers/codec-socket.ts';

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const bytes = (text: string) => new TextEncoder().encode(text);
const received = (data: unknown) => (data instanceof Uint8Array ? Buffer.from(data) : Buffer.alloc(0));
const text = (data: unknown) => received(data).toString();
const position = { offset: 3, epoch: 'ep' };

const publication: Publication = {
  data: Buffer.from([0, 0xff, 0x0a]),
  info: { user: 'u', client: 'c', connInfo: json({ ci: 1 }), chanInfo: json({ hi: 1 }) },
  offset: 3,
  time: 1_700_000_000_123,
  tags: { lang: 'en', x: 'ж' },
};

function answer(command: Command): readonly (Buffer | undefined)[] {
  const { id } = command;
  switch (command.kind) {
    case 'connect':
      return [
        protobufCodec.reply(id, {
          kind: 'connect',
          result: {
            client: 'c1',
            version: 'v1',
            data: json('hello'),
            ttlS: 3600,
            pingS: 25,
            pong: true,
            session: 's',
            node: 'n',
            time: 1_700_000_000_000,
            subs: new Map([
              ['#server', { recoverable: true, positioned: true, position, data: json('sub') }],
            ]),
          },
        }),
      ];
    case 'subscribe':
      if (command.request.channel === 'denied')
        return [protobufCodec.error(id, ReplyErrors.permissionDenied)];
      return [
        protobufCodec.reply(id, {
          kind: 'subscribe',
          result: {
            recoverable: true,
            positioned: true,
            position: { offset: 2, epoch: 'ep' },
            recovered: true,
            wasRecovering: true,
            publications: [publication],
            data: json({ d: 1 }),
          },
        }),
      ];
    case 'presence':
      return [
        protobufCodec.reply(id, {
          kind: 'presence',
          presence: [
            { user: 'u1', client: 'c1', connInfo: json(1) },
            { user: '', client: 'c2' },
          ],
        }),
      ];
    case 'presence_stats':
      return [protobufCodec.reply(id, { kind: 'presence_stats', clients: 300, users: 2 })];
    case 'history':
      return [
        protobufCodec.reply(id, {
          kind: 'history',
          publications: [publication],
          position: { offset: 2 ** 40, epoch: 'ep' },
        }),
      ];
    case 'rpc':
      return [protobufCodec.reply(id, { kind: 'rpc', data: command.data })];
    case 'publish':
    case 'unsubscribe':
      return [protobufCodec.reply(id, { kind: command.kind })];
    case 'refresh':
      return [
        protobufCodec.reply(id, { kind: 'refresh', result: { client: 'c1', version: 'v1', ttlS: 60 } }),
      ];
    case 'sub_refresh':
      return [protobufCodec.reply(id, { kind: 'sub_refresh', ttlS: 60 })];
    case 'send':
    case 'pong':
      return [];
  }
}

function setUp() {
  const peer = codecPeer(protobufCodec, 'protobuf', answer);
  const client = new Centrifuge('ws://none', {
    websocket: peer.websocket,
    token: 'the token',
    name: 'test',
    version: '1.2',
    headers: { h: 'v' },
    data: json({ from: 'client' }),
  });
  return { peer, client, done: async () => client.disconnect() };
}

t.test('connect', async (t) => {
  const { peer, client, done } = setUp();
  const connected = new Promise<ConnectedContext>((resolve) => client.once('connected', resolve));
  const subscribed = new Promise<ServerSubscribedContext>((resolve) => client.once('subscribed', resolve));
  client.connect();
  const context = await connected;
  t.equal(context.client, 'c1');
  t.equal(text(context.data), '"hello"');
  t.match(await subscribed, {
    channel: '#server',
    recoverable: true,
    positioned: true,
    streamPosition: position,
  });
  t.match(peer.commands[0], {
    kind: 'connect',
    id: 1,
    request: {
      token: 'the token',
      data: json({ from: 'client' }),
      name: 'test',
      version: '1.2',
      headers: { h: 'v' },
    },
  });
  peer.send(protobufCodec.ping);
  // The client answers a ping in its own time; calls before and after it give that time.
  for (let turn = 0; turn < 100 && peer.commands.every(({ kind }) => kind !== 'pong'); turn += 1) {
    await client.rpc('turn', bytes('x'));
  }
  t.ok(peer.commands.some(({ kind, id }) => kind === 'pong' && id === 0));
  await done();
});

t.test('subscribe and everything about a channel', async (t) => {
  const { peer, client, done } = setUp();
  client.connect();
  await client.ready();
  const sub = client.newSubscription('news', {
    token: 'sub token',
    data: json({ s: 1 }),
    positioned: true,
    recoverable: true,
    joinLeave: true,
    since: { offset: 2, epoch: 'ep' },
    tagsFilter: {
      op: 'or',
      nodes: [
        { key: 'lang', cmp: 'in', vals: ['en', 'de'] },
        { op: 'not', nodes: [{ key: 'x', cmp: 'eq', val: 'y' }] },
      ],
    },
  });
  const subscribed = new Promise<SubscribedContext>((resolve) => sub.once('subscribed', resolve));
  const recovered = new Promise<PublicationContext>((resolve) => sub.once('publication', resolve));
  sub.subscribe();
  t.match(await subscribed, {
    recovered: true,
    wasRecovering: true,
    streamPosition: { offset: 2, epoch: 'ep' },
  });
  const first = await recovered;
  t.equal(received(first.data).toString('hex'), '00ff0a');
  t.match(first, { offset: 3, tags: { lang: 'en', x: 'ж' }, info: { user: 'u', client: 'c' } });
  t.equal(text(first.info?.connInfo), '{"ci":1}');
  t.equal(text(first.info?.chanInfo), '{"hi":1}');
  t.match(peer.commands.at(-1), {
    kind: 'subscribe',
    request: {
      channel: 'news',
      token: 'sub token',
      recover: true,
      epoch: 'ep',
      offset: 2,
      data: json({ s: 1 }),
      positioned: true,
      recoverable: true,
      joinLeave: true,
      filter: {
        op: 'or',
        nodes: [
          { key: 'lang', cmp: 'in', vals: ['en', 'de'] },
          { op: 'not', nodes: [{ key: 'x', cmp: 'eq', val: 'y' }] },
        ],
      },
    },
  });

  const live = new Promise<PublicationContext>((resolve) => sub.once('publication', resolve));
  const joined = new Promise<JoinContext>((resolve) => sub.once('join', resolve));
  const left = new Promise<LeaveContext>((resolve) => sub.once('leave', resolve));
  const info = { user: 'u2', client: 'c2' };
  peer.send(
    must(
      protobufCodec.push(
        { kind: 'publication', channel: 'news', publication: { data: json(1), offset: 4, time: 0 } },
        false,
      ),
    ),
    must(protobufCodec.push({ kind: 'join', channel: 'news', info }, false)),
    must(protobufCodec.push({ kind: 'leave', channel: 'news', info }, false)),
  );
  t.match(await live, { offset: 4 });
  t.match(await joined, { channel: 'news', info });
  t.match(await left, { channel: 'news', info });

  const presence = await sub.presence();
  t.same(Object.keys(presence.clients), ['c1', 'c2']);
  t.equal(presence.clients['c1']?.user, 'u1');
  t.equal(text(presence.clients['c1']?.connInfo), '1');
  t.match(await sub.presenceStats(), { numClients: 300, numUsers: 2 });
  const history = await sub.history({ limit: -1, since: { offset: 1, epoch: 'e' }, reverse: true });
  t.match(history, { offset: 2 ** 40, epoch: 'ep', publications: [{ offset: 3 }] });
  t.match(peer.commands.at(-1), {
    kind: 'history',
    request: { channel: 'news', limit: -1, since: { offset: 1, epoch: 'e' }, reverse: true },
  });
  await sub.publish(bytes('binary'));
  t.match(peer.commands.at(-1), { kind: 'publish', channel: 'news', data: Buffer.from('binary'), type: 0 });

  const unsubscribed = new Promise<UnsubscribedContext>((resolve) => sub.once('unsubscribed', resolve));
  peer.send(
    must(
      protobufCodec.push(
        { kind: 'unsubscribe', channel: 'news', code: 2000, reason: 'server unsubscribe' },
        false,
      ),
    ),
  );
  t.match(await unsubscribed, { code: 2000, reason: 'server unsubscribe' });
  await done();
});

t.test('errors, rpc, send, server-side subscriptions, unsubscribe, disconnect', async (t) => {
  const { peer, client, done } = setUp();
  client.connect();
  await client.ready();
  const denied = client.newSubscription('denied');
  const refused = new Promise<UnsubscribedContext>((resolve) => denied.once('unsubscribed', resolve));
  denied.subscribe();
  t.match(await refused, { code: 103, reason: 'permission denied' });

  const { data } = await client.rpc('method', bytes('in'));
  t.equal(text(data), 'in');
  t.match(peer.commands.at(-1), { kind: 'rpc', method: 'method' });
  await client.send(bytes('message'));
  t.match(peer.commands.at(-1), { kind: 'send', id: 0, data: Buffer.from('message') });

  const message = new Promise<MessageContext>((resolve) => client.once('message', resolve));
  peer.send(must(protobufCodec.push({ kind: 'message', data: json('note') }, false)));
  t.equal(text((await message).data), '"note"');

  const subscribed = new Promise<ServerSubscribedContext>((resolve) => client.once('subscribed', resolve));
  peer.send(
    must(
      protobufCodec.push(
        { kind: 'subscribe', channel: 'more', result: { recoverable: true, positioned: true, position } },
        false,
      ),
    ),
  );
  t.match(await subscribed, {
    channel: 'more',
    recoverable: true,
    positioned: true,
    streamPosition: position,
  });
  const pushed = new Promise<ServerPublicationContext>((resolve) => client.once('publication', resolve));
  peer.send(
    must(
      protobufCodec.push(
        { kind: 'publication', channel: 'more', publication: { data: json(2), offset: 4, time: 5 } },
        false,
      ),
    ),
  );
  t.match(await pushed, { channel: 'more', offset: 4 });

  const sub = client.newSubscription('news');
  const ready = new Promise<SubscribedContext>((resolve) => sub.once('subscribed', resolve));
  sub.subscribe();
  await ready;
  sub.unsubscribe();
  t.match(peer.commands.at(-1), { kind: 'unsubscribe', channel: 'news' });

  const disconnected = new Promise<DisconnectedContext>((resolve) => client.once('disconnected', resolve));
  peer.send(must(protobufCodec.push({ kind: 'disconnect', code: 3503, reason: 'force disconnect' }, false)));
  t.match(await disconnected, { code: 3503, reason: 'force disconnect' });
  await done();
});

function must(message: Buffer | undefined): Buffer {
  if (message === undefined) throw new Error('not encodable');
  return message;
}
