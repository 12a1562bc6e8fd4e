// Connections that are written down over real sockets: what they take along, and that those which stay go on as they were.
import t, { type Test } from 'tap';
import type { Connection } from '../../../src/connection/connection.ts';
import { WebSocketTransport } from '../../../src/gateway/websocket-transport.ts';
import { Leaving, type ParkingPlace } from '../../../src/handoff/leaving.ts';
import { decodeConnection, type MovingConnection } from '../../../src/handoff/payload.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { Core } from '../../helpers/core-harness.ts';
import { clientFrame, RawSocket } from '../../helpers/raw-socket.ts';
import { type Json, jsonMessages } from '../../helpers/server-frames.ts';
import { TransportServer } from '../../helpers/transport-server.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const FRAME_BYTES = 60_000;
/** More than a moving connection may take along. */
const QUEUE_BYTES = 4 * 1024 * 1024;

/** A worker with one client, which is subscribed to `news`; its connection is held. */
async function heldClient(t: Test) {
  const core = await Core.start(t, {
    client: { insecure: true, queue_max_size: QUEUE_BYTES },
    channel: { without_namespace: { allow_publish_for_subscriber: true } },
  });
  const server = await TransportServer.start(t, { shared: core.shared });
  const peer = await RawSocket.upgraded(t, server.parts.port);
  const reply = async (): Promise<Json | undefined> => {
    const frame = await peer.frame();
    return frame === undefined ? undefined : jsonMessages(frame.payload)[0];
  };
  peer.write(clientFrame('{"id":1,"connect":{}}'));
  t.match(await reply(), { id: 1, connect: {} });
  peer.write(clientFrame('{"id":2,"subscribe":{"channel":"news"}}'));
  t.match(await reply(), { id: 2, subscribe: {} });
  const { connection } = server;
  const { transport } = connection;
  if (!(transport instanceof WebSocketTransport)) throw new Error('not a WebSocket');
  await connection.hold();
  return { core, peer, reply, connection, transport, deps: { hub: core.hub, clock: systemClock } };
}

function contentOf(payload: Buffer): MovingConnection {
  const content = decodeConnection(payload);
  if (content === undefined) throw new Error('of another version');
  return content;
}

/** Numbered frames, until the kernel takes no more. */
function fill(connection: Connection, transport: WebSocketTransport): number {
  let count = 0;
  while (transport.pendingBytes === 0) {
    const data = Buffer.from(`{"push":{"n":${count}}}`.padEnd(FRAME_BYTES));
    const header = Buffer.from([0x81, 126, data.length >> 8, data.length & 0xff]);
    connection.deliver(Buffer.concat([header, data]), 'publication');
    connection.flush();
    count += 1;
  }
  return count;
}

class Place implements ParkingPlace {
  readonly #takes: boolean;
  /** While it is being parked. */
  meanwhile: () => void | Promise<void> = () => undefined;
  readonly told: string[] = [];

  constructor(takes: boolean) {
    this.#takes = takes;
  }

  async park(): Promise<number | undefined> {
    this.told.push('park');
    await this.meanwhile();
    return this.#takes ? 7 : undefined;
  }

  unpark(number: number): void {
    this.told.push(`unpark ${number}`);
  }
}

const always = (): boolean => true;

t.test('one that stays after all has missed nothing, and is answered', async (t) => {
  const { core, peer, reply, connection, transport, deps } = await heldClient(t);
  const listener = await core.connected();
  await listener.subscribe('news');
  const written = Leaving.of(connection, transport, deps);
  if (typeof written !== 'object') throw new Error('it did not leave');
  const { subscriptions, unsent, tail } = contentOf(written.payload);
  t.match(subscriptions, [{ state: { channel: 'news' } }]);
  t.equal(unsent.length + tail.length, 0);
  t.equal(connection.isFrozen, true);

  await core.publish('news', 'meanwhile');
  await listener.receives('news', 1);
  peer.write(clientFrame('{"id":3,"publish":{"channel":"news","data":"after it"}}'));
  t.equal(peer.text, '', 'nothing was written');

  written.leaving.undo();
  connection.letGo();
  t.match(await reply(), { push: { channel: 'news', pub: { data: 'meanwhile' } } });
  t.match(await reply(), { id: 3, publish: {} });
  t.match(await reply(), { push: { channel: 'news', pub: { data: 'after it' } } });
});

t.test('the beginning of a message goes along', async (t) => {
  const { peer, connection, transport, deps } = await heldClient(t);
  connection.letGo();
  const half = clientFrame('{"id":3,"presence_stats":{"channel":"news"}}').subarray(0, 20);
  const before = transport.trafficBytes;
  peer.write(half);
  await waitFor('the half', () => transport.trafficBytes === before + half.length);
  await connection.hold();
  const written = Leaving.of(connection, transport, deps);
  if (typeof written !== 'object') throw new Error('it did not leave');
  t.ok(contentOf(written.payload).tail.equals(half));
});

t.test('one that lives on elsewhere leaves nothing behind', async (t) => {
  const { core, peer, connection, transport, deps } = await heldClient(t);
  const written = Leaving.of(connection, transport, deps);
  if (typeof written !== 'object') throw new Error('it did not leave');
  written.leaving.complete(core.hub, 'elsewhere');
  t.equal(connection.movedTo, 'elsewhere');
  t.match(core.registered, { connections: 0, users: 0, channels: 0, subscriptions: 0 });
  await peer.closed();
});

t.test('a subscription that is being made keeps it here', async (t) => {
  const { core, peer, reply, connection, transport, deps } = await heldClient(t);
  const [subscription] = connection.subscriptions.values();
  if (subscription === undefined) throw new Error('no subscription');
  subscription.live = false;
  t.equal(Leaving.of(connection, transport, deps), undefined);
  t.equal(connection.isFrozen, false);
  subscription.live = true;
  connection.letGo();
  await core.publish('news', 'on');
  t.match(await reply(), { push: { pub: { data: 'on' } } });
  peer.write(clientFrame('{"id":3,"publish":{"channel":"news","data":"answered"}}'));
  t.match(await reply(), { id: 3 });
});

t.test('with bytes that the peer has not taken', async (t) => {
  t.test('what was read and what goes along are the whole', async (t) => {
    const { peer, connection, transport, deps } = await heldClient(t);
    peer.socket.pause();
    const count = fill(connection, transport);
    t.equal(Leaving.of(connection, transport, deps), 'unsent');
    t.equal(connection.isFrozen, false);
    const place = new Place(true);
    const written = await Leaving.withUnsent(connection, transport, deps, place, always);
    if (written === undefined) throw new Error('it did not leave');
    t.equal(written.leaving.copy, 7);
    t.strictSame(place.told, ['park']);
    const { unsent } = contentOf(written.payload);
    peer.socket.resume();
    await peer.closed();
    const whole = peer.text + Buffer.concat(unsent).toString('latin1');
    t.equal(whole.length, count * (FRAME_BYTES + 4));
    t.strictSame(
      [...whole.matchAll(/"n":(\d+)/g)].map(([, n]) => Number(n)),
      Array.from({ length: count }, (_, n) => n),
    );
  });

  for (const [name, place, mayLeave] of [
    ['the primary has no place for it', new Place(false), always],
    ['it is not to leave any more', new Place(true), () => false],
  ] as const) {
    t.test(`${name}: it stays`, async (t) => {
      const { peer, reply, connection, transport, deps } = await heldClient(t);
      peer.socket.pause();
      const count = fill(connection, transport);
      place.meanwhile = () => peer.write(clientFrame('{"id":3,"publish":{"channel":"news","data":"x"}}'));
      t.equal(await Leaving.withUnsent(connection, transport, deps, place, mayLeave), undefined);
      t.strictSame(place.told.slice(1), mayLeave() ? [] : ['unpark 7']);
      connection.letGo();
      peer.socket.resume();
      for (let n = 0; n < count; n += 1) t.match(await reply(), { push: { n } });
      t.match(await reply(), { id: 3, publish: {} });
      t.match(await reply(), { push: { pub: { data: 'x' } } });
    });
  }

  t.test('one that ends meanwhile is not kept', async (t) => {
    const { peer, connection, transport, deps } = await heldClient(t);
    peer.socket.pause();
    fill(connection, transport);
    const place = new Place(true);
    place.meanwhile = async () => {
      peer.reset();
      await waitFor('the end', () => connection.isClosed);
    };
    t.equal(await Leaving.withUnsent(connection, transport, deps, place, always), undefined);
    t.strictSame(place.told, ['park', 'unpark 7']);
  });

  t.test('too many of them are waited for', async (t) => {
    const { peer, connection, transport, deps } = await heldClient(t);
    peer.socket.pause();
    fill(connection, transport);
    const frame = Buffer.alloc(QUEUE_BYTES - FRAME_BYTES);
    connection.deliver(frame, 'publication');
    const place = new Place(true);
    t.equal(await Leaving.withUnsent(connection, transport, deps, place, always), undefined);
    t.strictSame(place.told, []);
    t.equal(connection.isClosed, false);
  });
});
