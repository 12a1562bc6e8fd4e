import { deserialize, serialize } from 'node:v8';
import t from 'tap';
import { SESSION_SCHEMA } from '../../../src/connection/session.ts';
import { Subscription, type SubscriptionState } from '../../../src/connection/subscription.ts';
import { CloseCauses } from '../../../src/protocol/close-causes.ts';
import { jsonCodec } from '../../../src/protocol/json-codec.ts';
import { frameMessages } from '../../../src/protocol/message-framing.ts';
import { ReplyErrors } from '../../../src/protocol/reply-errors.ts';
import { WireFormats } from '../../../src/protocol/wire-format.ts';
import { deferred } from '../../helpers/deferred.ts';
import { FakeNativeTransport, FakeTransport } from '../../helpers/fake-transport.ts';
import { LoneConnections, send, sendText, wire } from '../../helpers/lone-connection.ts';

/** A complete frame with one publication. */
function publication(n: number, bytes = 10): Buffer {
  const message = jsonCodec.push(
    {
      kind: 'publication',
      channel: 'ch',
      publication: { data: Buffer.from(`"${'x'.repeat(bytes)}"`), offset: n, time: 0 },
    },
    false,
  );
  if (message === undefined) throw new Error('no form');
  return frameMessages(WireFormats.websocketJson, [message]);
}

const turn = (): Promise<void> => new Promise(setImmediate);

t.test('the first command must be connect', async (t) => {
  for (const first of [{ id: 1, subscribe: { channel: 'a' } }, {}, { send: {} }, { id: 1, rpc: {} }]) {
    const all = new LoneConnections();
    const connection = all.open();
    send(connection, first);
    t.equal(wire(connection).closedWith, CloseCauses.badRequest, JSON.stringify(first));
    t.strictSame(all.commands, []);
    t.strictSame(all.ends, [{ connection, cause: CloseCauses.badRequest }]);
  }
});

t.test('frames that cannot be read end the connection', async (t) => {
  for (const text of [
    '',
    '\n\n',
    'garbage',
    '[]',
    '{"id":1}',
    '{"id":-1,"connect":{}}',
    '{"id":1,"connect":{}}\n{',
  ]) {
    const all = new LoneConnections();
    const connection = all.open();
    sendText(connection, text);
    t.equal(wire(connection).closedWith, CloseCauses.badRequest, JSON.stringify(text));
    t.strictSame(all.commands, [], 'nothing of such a frame is carried out');
  }
});

t.test('connect once', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  t.ok(connection.isLive);
  send(connection, { id: 2, connect: {} });
  t.equal(wire(connection).closedWith, CloseCauses.badRequest);

  const pending = new LoneConnections();
  const never = deferred<void>();
  pending.handler = () => never.promise;
  const impatient = pending.open();
  send(impatient, { id: 1, connect: {} }, { id: 2, connect: {} });
  t.equal(wire(impatient).closedWith, undefined, 'the second waits for the first');
  never.resolve();
  await turn();
  t.equal(wire(impatient).closedWith, CloseCauses.badRequest);
});

t.test('after a refused connect the client may only leave', async (t) => {
  const all = new LoneConnections();
  all.handler = (connection, command) => {
    connection.dispatch({ type: 'refused' });
    connection.replyError(command.id, ReplyErrors.tokenExpired);
  };
  const connection = all.open();
  send(connection, { id: 1, connect: { token: 't' } });
  all.flush();
  t.strictSame(wire(connection).messages, [{ id: 1, error: { code: 109, message: 'token expired' } }]);
  send(connection, { id: 2, connect: {} });
  t.equal(wire(connection).closedWith, CloseCauses.badRequest);

  const idle = all.open();
  send(idle, { id: 1, connect: {} });
  all.pass(9_900);
  t.equal(wire(idle).closedWith, undefined);
  all.pass(200);
  t.equal(wire(idle).closedWith, CloseCauses.stale);
});

t.test('who does not say who it is becomes stale, also while connect is being decided', async (t) => {
  const all = new LoneConnections();
  all.handler = () => new Promise(() => undefined);
  const silent = all.open();
  const undecided = all.open();
  send(undecided, { id: 1, connect: {} });
  const spoken = new LoneConnections();
  const live = spoken.live();
  for (const each of [all, spoken]) each.pass(10_000);
  t.equal(wire(silent).closedWith, CloseCauses.stale);
  t.equal(wire(undecided).closedWith, CloseCauses.stale);
  t.equal(wire(live).closedWith, undefined);
});

t.test('pings come at their interval and must be answered', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  all.pass(24_900);
  t.equal(wire(connection).pings, 0);
  all.pass(200);
  t.equal(wire(connection).pings, 1);
  send(connection, {});
  all.pass(25_000);
  t.equal(wire(connection).pings, 2);
  all.pass(7_800);
  t.equal(wire(connection).closedWith, undefined);
  all.pass(300);
  t.equal(wire(connection).closedWith, CloseCauses.noPong);
  t.equal(connection.wheelSlot, -1);
});

t.test('one pong a ping', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  all.pass(25_100);
  send(connection, {}, {});
  t.equal(wire(connection).closedWith, CloseCauses.badRequest);
});

t.test('a pong is not held up by a handler that takes its time', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  all.pass(25_100);
  const slow = deferred<void>();
  all.handler = () => slow.promise;
  send(connection, { id: 2, rpc: {} }, { id: 3, rpc: {} }, {});
  all.pass(10_000);
  t.equal(wire(connection).closedWith, undefined);
  t.equal(all.commands.length, 2, 'while the third command waits for the second');
  slow.resolve();
});

t.test('native pings and pongs', async (t) => {
  const all = new LoneConnections();
  const transport = new FakeNativeTransport();
  const connection = all.live(transport);
  connection.onNativePong();
  all.pass(25_100);
  t.equal(transport.nativePings, 1);
  t.equal(transport.pings, 0);
  connection.onNativePong();
  connection.onNativePong();
  all.pass(10_000);
  t.equal(transport.closedWith, undefined, 'pongs that nobody asked for are no fault');
  all.pass(25_000);
  t.equal(transport.closedWith, CloseCauses.noPong);
});

t.test('when the peer was heard last, and how far away it is', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  const { signs } = connection.session;
  t.equal(signs.lastFrameWallMs, all.clock.wallMs());
  t.equal(signs.roundTripMs, -1);
  all.pass(25_100);
  const pingedMs = signs.pingSentMs;
  t.not(pingedMs, -1);
  all.clock.advance(42);
  send(connection, {});
  t.equal(signs.roundTripMs, all.clock.monotonicMs() - pingedMs);
  t.equal(signs.lastFrameWallMs, all.clock.wallMs());

  const transport = new FakeNativeTransport();
  const native = all.live(transport, { client: 'n' });
  all.pass(25_100);
  native.onNativePong();
  const measuredMs = native.session.signs.roundTripMs;
  t.ok(measuredMs >= 0);
  all.clock.advance(1000);
  native.onNativePong();
  t.equal(native.session.signs.roundTripMs, measuredMs, 'an unasked pong measures nothing');
});

t.test('a peer that sends more than it may is read more slowly', async (t) => {
  const all = new LoneConnections({ inboundBytes: { perSecond: 1000, burst: 1000 } });
  const connection = all.live();
  const transport = wire(connection);
  const text = JSON.stringify({ id: 2, rpc: { data: 'x'.repeat(1500) } });
  sendText(connection, text);
  t.ok(transport.paused);
  t.equal(all.commands.length, 2, 'what has come is carried out');
  all.pass(400);
  t.ok(transport.paused);
  sendText(connection, text);
  t.equal(all.commands.length, 3, 'also what was on its way');
  all.pass(1400);
  t.ok(transport.paused, 'and it counts');
  all.pass(600);
  t.notOk(transport.paused);
  all.pass(10_000);
  send(connection, { id: 4, rpc: {} });
  t.notOk(transport.paused, 'a small one fits again');

  const copy: unknown = deserialize(serialize(connection.snapshot()));
  t.match(copy, { session: { inboundBytes: { tokens: Number, atMs: Number } } });
});

t.test('a pause for two reasons ends with the later one', async (t) => {
  const all = new LoneConnections({ inboundBytes: { perSecond: 1000, burst: 1000 } });
  const connection = all.live();
  const transport = wire(connection);
  const slow = deferred<void>();
  all.handler = () => slow.promise;
  send(connection, { id: 2, rpc: { data: 'x'.repeat(1500) } }, { id: 3, rpc: {} });
  all.pass(5000);
  t.ok(transport.paused, 'the budget is there, but a command waits');
  slow.resolve();
  await turn();
  t.notOk(transport.paused);
});

t.test('without a limit nothing is counted', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  send(connection, { id: 2, rpc: { data: 'x'.repeat(1500) } });
  t.equal(connection.session.inboundBytes, undefined);
  t.notOk(wire(connection).paused);
});

t.test('behind unread bytes no ping is sent, as long as the peer reads', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  const transport = wire(connection);
  transport.slow = true;
  connection.deliver(publication(1), 'publication');
  all.flush();
  all.pass(25_100);
  t.equal(transport.pings, 0);
  all.pass(8_100);
  t.equal(transport.closedWith, undefined, 'so no pong is awaited');
  transport.drain(connection);
  connection.deliver(publication(2), 'publication');
  all.flush();
  all.pass(17_000);
  t.equal(transport.closedWith, undefined, 'it has read something since');
  all.pass(25_000);
  t.equal(transport.closedWith, CloseCauses.slow, 'it has read nothing in a whole interval');
});

t.test('a peer that reads too slowly is a slow consumer: bytes', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  const transport = wire(connection);
  transport.slow = true;
  let delivered = 0;
  while (!connection.isClosed && delivered < 1_000) {
    connection.deliver(publication(delivered, 500), 'publication');
    all.flush();
    delivered += 1;
  }
  t.equal(transport.closedWith, CloseCauses.slow);
  t.ok(delivered * 500 <= 10_000 + 1_000, `${delivered} frames of 500 bytes for a limit of 10,000`);
  t.equal(all.sums.queuedBytes, 0);
  t.ok(all.dropped.value > 0);
});

t.test('a peer that reads too slowly is a slow consumer: frames', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  for (let n = 0; n < 100; n += 1) connection.deliver(publication(n), 'publication');
  t.notOk(connection.isClosed);
  connection.deliver(publication(100), 'publication');
  t.equal(wire(connection).closedWith, CloseCauses.slow);
  t.equal(wire(connection).messages.length, 1, 'nothing more is written to it than the connect reply');
});

t.test('replies to the commands of one frame leave in one frame', async (t) => {
  const all = new LoneConnections();
  const connection = all.open();
  send(connection, { id: 1, connect: {} }, { id: 2, rpc: {} }, { id: 3, rpc: {} });
  all.flush();
  t.equal(wire(connection).writes.length, 1);
  t.strictSame(
    wire(connection).frames.map((messages) => messages.map(({ id }) => id)),
    [[1, 2, 3]],
  );
});

t.test('what is delivered between two replies stays between them', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  all.handler = (to, command) => {
    if (command.id === 3) to.deliver(publication(1), 'publication');
    to.reply(command.id, { kind: 'publish' });
    if (command.id === 4) to.push({ kind: 'message', data: Buffer.from('1') });
  };
  send(connection, { id: 2, rpc: {} }, { id: 3, rpc: {} }, { id: 4, rpc: {} }, { id: 5, rpc: {} });
  all.flush();
  t.strictSame(
    wire(connection)
      .messages.slice(1)
      .map((message) => message['id'] ?? Object.keys(Object(message['push'])).at(-1)),
    [2, 'pub', 3, 4, 'message', 5],
  );
});

t.test('commands are carried out one after the other, and reading waits for them', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  const transport = wire(connection);
  const gates = new Map([2, 3, 4].map((id) => [id, deferred<void>()]));
  all.handler = async (to, command) => {
    await gates.get(command.id)?.promise;
    to.reply(command.id, { kind: 'publish' });
  };
  send(connection, { id: 2, rpc: {} }, { id: 3, rpc: {} });
  send(connection, { id: 4, rpc: {} });
  t.strictSame(
    all.commands.map(({ id }) => id),
    [1, 2],
  );
  t.notOk(transport.paused, 'a few that wait are no reason to stop reading');
  const many = Array.from({ length: 40 }, (_, index) => ({ id: 5 + index, rpc: {} }));
  send(connection, ...many);
  t.ok(transport.paused, 'a peer that is far ahead is read no further');
  t.ok(connection.isBusy);
  gates.get(4)?.resolve();
  await turn();
  t.equal(all.commands.length, 2, 'nothing overtakes');
  gates.get(2)?.resolve();
  await turn();
  t.ok(transport.paused);
  gates.get(3)?.resolve();
  await turn();
  all.flush();
  t.strictSame(
    transport.messages.map(({ id }) => id),
    [1, 2, 3, 4, ...many.map(({ id }) => id)],
  );
  t.notOk(transport.paused);
  t.equal(transport.pauses, 1);
  t.notOk(connection.isBusy);
});

t.test('with concurrency several run at once, but nothing before connect is decided', async (t) => {
  const all = new LoneConnections({ concurrency: 3 });
  const gate = deferred<void>();
  const gates = new Map([2, 3, 4, 5].map((id) => [id, deferred<void>()]));
  all.handler = async (to, command) => {
    if (command.kind === 'connect') {
      await gate.promise;
      all.answer(to, command);
      return;
    }
    await gates.get(command.id)?.promise;
    to.reply(command.id, { kind: 'publish' });
  };
  const connection = all.open();
  send(
    connection,
    { id: 1, connect: {} },
    ...[2, 3, 4, 5].map((id) => ({ id, subscribe: { channel: `c${id}` } })),
  );
  await turn();
  t.equal(all.commands.length, 1);
  gate.resolve();
  await turn();
  t.strictSame(
    all.commands.map(({ id }) => id),
    [1, 2, 3, 4],
  );
  gates.get(3)?.resolve();
  await turn();
  t.equal(all.commands.length, 5);
  for (const each of [5, 4, 2]) {
    gates.get(each)?.resolve();
    await turn();
  }
  all.flush();
  t.strictSame(
    wire(connection).messages.map(({ id }) => id),
    [1, 3, 5, 4, 2],
  );
});

t.test('unsubscribe waits for the subscribe before it', async (t) => {
  const all = new LoneConnections({ concurrency: 8 });
  const connection = all.live();
  const gate = deferred<void>();
  all.handler = (to, command) =>
    command.kind === 'subscribe' ? gate.promise.then(() => all.answer(to, command)) : all.answer(to, command);
  send(
    connection,
    { id: 2, subscribe: { channel: 'a' } },
    { id: 3, rpc: {} },
    { id: 4, unsubscribe: { channel: 'a' } },
    { id: 5, rpc: {} },
  );
  await turn();
  t.strictSame(
    all.commands.map(({ id }) => id),
    [1, 2, 3],
  );
  gate.resolve();
  await turn();
  t.strictSame(
    all.commands.map(({ id }) => id),
    [1, 2, 3, 4, 5],
  );
});

t.test('a connection may end while a handler runs', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  const gate = deferred<void>();
  all.handler = async (to, command) => {
    await gate.promise;
    to.reply(command.id, { kind: 'publish' });
    to.push({ kind: 'message', data: Buffer.from('{}') });
    to.deliver(publication(1), 'publication');
  };
  send(connection, { id: 2, rpc: {} }, { id: 3, rpc: {} });
  connection.close(CloseCauses.forceReconnect);
  gate.resolve();
  await turn();
  all.flush();
  t.equal(all.commands.length, 2, 'the next command is not begun');
  t.equal(wire(connection).messages.length, 1);
  t.equal(all.sums.queuedBytes, 0);
  t.equal(all.ends.length, 1);
});

t.test('ping frames are answered with one pong when the peer reads again', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  const transport = wire(connection);
  connection.onTransportPing(pong(1));
  all.flush();
  t.same(transport.writes.at(-1), pong(1));
  transport.slow = true;
  connection.deliver(publication(1), 'publication');
  all.flush();
  for (let n = 2; n <= 300; n += 1) connection.onTransportPing(pong(n));
  t.equal(all.sums.queuedBytes, 0, 'none waits in the outbox');
  transport.slow = false;
  transport.drain(connection);
  all.flush();
  t.same(
    transport.messages.map(({ n }) => n).filter((n) => n !== undefined),
    [1, 300],
  );
  for (let n = 0; n < 1_000; n += 1) connection.onTransportPing(pong(0));
  t.equal(transport.closedWith?.code, 3013);
});

t.test('after the end nothing happens, however often it ends', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  connection.close(CloseCauses.forceDisconnect);
  connection.close(CloseCauses.shutdown);
  connection.onTransportClosed();
  connection.onTransportDrain();
  connection.onNativePong();
  connection.reply(9, { kind: 'publish' });
  connection.replyError(9, ReplyErrors.internal);
  connection.push({ kind: 'message', data: Buffer.from('{}') });
  connection.deliver(publication(1), 'publication');
  send(connection, { id: 9, rpc: {} });
  sendText(connection, 'garbage');
  connection.dispatch({ type: 'expiry', atMs: 1 });
  all.pass(100_000);
  t.strictSame(all.ends, [{ connection, cause: CloseCauses.forceDisconnect }]);
  t.equal(wire(connection).closes, 1);
  t.equal(wire(connection).messages.length, 1);
  t.equal(all.sums.queuedBytes, 0);
  t.equal(connection.wheelSlot, -1);
});

t.test('a peer that is gone is told nothing', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  connection.deliver(publication(1), 'publication');
  connection.onTransportClosed();
  t.strictSame(all.ends, [{ connection, cause: CloseCauses.connectionClosed }]);
  t.equal(wire(connection).closes, 0);
  t.equal(wire(connection).messages.length, 1);
  t.strictSame([all.sums.queuedBytes, all.dropped.value], [0, 1]);
});

t.test('what was queued before a close still goes out, with the replies of the same frame', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  connection.deliver(publication(1), 'publication');
  all.handler = (to, command) => {
    if (command.id === 3) to.close(CloseCauses.forceDisconnect);
    else to.reply(command.id, { kind: 'publish' });
  };
  send(connection, { id: 2, rpc: {} }, { id: 3, rpc: {} }, { id: 4, rpc: {} });
  t.strictSame(
    wire(connection).messages.map((message) => message['id'] ?? Object.keys(message)[0]),
    [1, 'push', 2],
  );
  t.equal(wire(connection).closedWith, CloseCauses.forceDisconnect);
  t.equal(all.sums.queuedBytes, 0);
});

t.test('replies that pass the limit end the connection and leave nothing in the sums', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  all.handler = (to, command) => {
    if (command.id === 3) to.deliver(publication(1), 'publication');
    else to.reply(command.id, { kind: 'rpc', data: Buffer.from(`"${'x'.repeat(20_000)}"`) });
  };
  send(connection, { id: 2, rpc: {} }, { id: 3, rpc: {} });
  all.flush();
  t.equal(wire(connection).closedWith, CloseCauses.slow);
  t.equal(all.sums.queuedBytes, 0);
});

t.test('a payload without a form in JSON ends the connection', async (t) => {
  const all = new LoneConnections();
  const notJson = Buffer.from([0xff, 0x00]);
  const pushed = all.live();
  pushed.push({ kind: 'message', data: notJson });
  t.equal(wire(pushed).closedWith, CloseCauses.inappropriateProtocol);
  const replied = all.live();
  replied.reply(2, { kind: 'rpc', data: notJson });
  t.equal(wire(replied).closedWith, CloseCauses.inappropriateProtocol);
});

t.test('expiry and subscription deadlines reach the owner once', async (t) => {
  const all = new LoneConnections();
  const connection = all.live();
  connection.dispatch({ type: 'expiry', atMs: all.wheel.nowMs + 1_000 });
  connection.dispatch({ type: 'subscription_deadline', atMs: all.wheel.nowMs + 2_000 });
  all.pass(900);
  t.strictSame([all.expired, all.subscriptionDeadlines], [0, 0]);
  all.pass(200);
  t.strictSame([all.expired, all.subscriptionDeadlines], [1, 0]);
  all.pass(3_000);
  t.strictSame([all.expired, all.subscriptionDeadlines], [1, 1]);
});

t.test('all of a connection is one object that survives being written down', async (t) => {
  const all = new LoneConnections();
  const connection = all.live(new FakeTransport(), {
    user: 'ann',
    connInfo: Buffer.from('{"n":12345678901234567890}'),
    meta: Buffer.from('[1]'),
    expireAtWallMs: 5_000,
    tokenChannels: ['a'],
    headers: { 'x-user': 'ann' },
  });
  const state: SubscriptionState = {
    channel: 'news',
    serverSide: false,
    positioned: true,
    recoverable: true,
    joinLeavePushes: false,
    announced: true,
    inPresence: true,
    delta: false,
    deltaBase: 0,
    info: { user: 'ann', client: 'c', connInfo: Buffer.from('1'), chanInfo: undefined },
    filter: { op: 'and', nodes: [{ key: 'a', cmp: 'eq', val: 'b' }] },
    expireAtWallMs: Infinity,
    clientSideRefresh: false,
    offset: Number.MAX_SAFE_INTEGER,
    epoch: 'ep',
  };
  connection.subscriptions.set('news', new Subscription(connection, state, 3));
  const snapshot = connection.snapshot();
  const copy: unknown = deserialize(serialize(snapshot));
  t.strictSame(copy, snapshot);
  t.match(snapshot, {
    schema: SESSION_SCHEMA,
    transport: 'websocket',
    formatIndex: 0,
    lifecycle: { phase: 'live' },
  });
  t.strictSame(snapshot.subscriptions, [state]);
});

function pong(n: number): Buffer {
  const payload = Buffer.from(JSON.stringify({ n }));
  return Buffer.concat([Buffer.from([0x8a, payload.length]), payload]);
}
