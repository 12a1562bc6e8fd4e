// What every way in must do, whoever stands between client and gateway: one suite for the official client in all its
// transports, and one for those that only listen.
import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import { WebSocket } from 'ws';
import { signConnectionToken } from '../../src/auth/sign-token.ts';
import type { OfficialClient, OfficialSubscription } from './centrifuge.ts';
import { type Gateway, startGateway } from './gateway.ts';
import { startHaproxy } from './haproxy.ts';
import { Relay } from './relay.ts';
import type { Scope } from './scope.ts';
import type { Json } from './server-frames.ts';
import { isJson } from './server-frames.ts';
import { StreamClient } from './stream-client.ts';
import { waitFor } from './wait-for.ts';
import { type Entrance, newClient, payloads, type WayIn } from './ways-in.ts';

const SECRET = 'secret of the transport tests, long enough';

const TRANSPORTS_CONFIG = {
  client: {
    insecure: true,
    token: { hmac_secret_key: SECRET },
    token_cookie: 'auth',
    ping_interval: '2s',
    pong_timeout: '1900ms',
    queue_max_size: 500_000,
  },
  channel: {
    without_namespace: { presence: true, join_leave: true },
    namespaces: [{ name: 'kept', history_size: 100, history_ttl: '60s', force_recovery: true }],
  },
  http_stream: { enabled: true },
  sse: { enabled: true },
  uni_websocket: { enabled: true },
  uni_http_stream: { enabled: true },
  uni_sse: { enabled: true },
  log: { level: 'debug' },
};

interface Place {
  readonly gateway: Gateway;
  /** Through `relay`, if there is one. */
  readonly entrance: Entrance;
  readonly relay: Relay;
}

/** Two workers, and nothing between them and the clients. */
export async function directPlace(scope: Scope, config = TRANSPORTS_CONFIG): Promise<Place> {
  const gateway = await startGateway(scope, { workers: 2, config });
  const relay = await Relay.start(scope, gateway.port);
  return { gateway, relay, entrance: { origin: `http://127.0.0.1:${relay.port}` } };
}

/** Two workers behind HAProxy, with TLS. */
export async function proxiedPlace(scope: Scope, config = TRANSPORTS_CONFIG): Promise<Place> {
  const gateway = await startGateway(scope, { workers: 2, config });
  const haproxy = await startHaproxy(scope, { to: `127.0.0.1:${gateway.port}` });
  const relay = await Relay.start(scope, haproxy.port);
  const entrance = { origin: `https://localhost:${relay.port}`, ca: haproxy.certificate };
  return { gateway, relay, entrance };
}

export function bidirectionalScenarios(t: Test, place: Place, way: WayIn): void {
  const { gateway, entrance, relay } = place;
  const { write, read } = payloads(way);
  const open = (t: Test): Promise<OfficialClient> => newClient(t, entrance, way).connect();
  const received = (subscription: OfficialSubscription): unknown[] => subscription.publications.map(read);

  t.test('talks: publications, presence, join, rpc errors', async (t) => {
    const channel = randomUUID();
    const clients = await Promise.all(Array.from({ length: 4 }, () => open(t)));
    const subscriptions = await Promise.all(clients.map((client) => client.subscribe(channel)));
    const [first] = clients;
    if (first === undefined) throw new Error('no client');
    for (let n = 1; n <= 20; n += 1) await first.client.publish(channel, write({ n }));
    const all = Array.from({ length: 20 }, (_, index) => ({ n: index + 1 }));
    for (const subscription of subscriptions) {
      await waitFor('all publications', () => subscription.publications.length === 20);
      t.same(received(subscription), all);
    }
    const presence = await first.client.presence(channel);
    t.equal(Object.keys(presence.clients).length, 4);
    t.hasStrict(await first.client.presenceStats(channel), { numClients: 4 });
    await t.rejects(first.client.rpc('unknown', write({})), { code: 108 });
    await t.rejects(first.client.history(channel, { limit: 1 }), { code: 108 });
    subscriptions[3]?.subscription.unsubscribe();
    await waitFor('three are left', async () => (await first.client.presenceStats(channel)).numClients === 3);
  });

  t.test('reads history, and recovers what it missed while it was cut off', async (t) => {
    const channel = `kept:${randomUUID()}`;
    const client = await open(t);
    const subscription = await client.subscribe(channel);
    await client.client.publish(channel, write({ n: 1 }));
    await subscription.next('publication');
    relay.refuses = true;
    relay.cut();
    await client.next('connecting');
    for (let n = 2; n <= 30; n += 1) await gateway.api('publish', { channel, data: { n } });
    relay.refuses = false;
    await waitFor('all publications', () => subscription.publications.length === 30);
    t.same(
      received(subscription),
      Array.from({ length: 30 }, (_, index) => ({ n: index + 1 })),
    );
    t.hasStrict(await subscription.next('subscribed'), { wasRecovering: true, recovered: true });
    const history = await client.client.history(channel, { limit: 2, reverse: true });
    t.same(
      history.publications.map(({ data }) => read(data)),
      [{ n: 30 }, { n: 29 }],
    );
  });

  t.test('hears from the server why something ends', async (t) => {
    const channel = randomUUID();
    const client = newClient(t, entrance, way);
    client.client.connect();
    const { client: id } = idOf(await client.next('connected'));
    const subscription = await client.subscribe(channel);
    await gateway.api('unsubscribe', { user: '', client: id, channel });
    t.hasStrict(await subscription.next('unsubscribed'), { code: 2000, reason: 'server unsubscribe' });
    await gateway.api('disconnect', {
      user: '',
      client: id,
      disconnect: { code: 4001, reason: 'come back' },
    });
    // The first one is its own beginning.
    await client.next('connecting');
    t.hasStrict(await client.next('connecting'), { code: 4001, reason: 'come back' });
    const again = idOf(await client.next('connected'));
    t.not(again.client, id);
    await gateway.api('disconnect', { user: '', client: again.client });
    t.hasStrict(await client.next('disconnected'), { code: 3503, reason: 'force disconnect' });
  });

  t.test('refused tokens, and one in time', async (t) => {
    const wrong = newClient(t, entrance, way, { token: 'a.b.c' });
    wrong.client.connect();
    t.hasStrict(await wrong.next('disconnected'), { code: 3500, reason: 'invalid token' });
    const expired = await token({ expiresAtMs: Date.now() - 60_000 });
    const fresh = await token({ user: 'anna' });
    const late = newClient(t, entrance, way, { token: expired, getToken: () => Promise.resolve(fresh) });
    await late.connect();
    t.equal(late.count('disconnected'), 0);
  });

  t.test('answers pings, and stays', async (t) => {
    const client = await open(t);
    const before = await gateway.metric('messages_in_total');
    await waitFor('two pongs', async () => (await gateway.metric('messages_in_total')) >= before + 2);
    t.equal(client.count('connecting'), 1);
  });

  t.test('carries large messages whole, both ways', async (t) => {
    const channel = randomUUID();
    const [sender, receiver] = [await open(t), await open(t)];
    const subscription = await receiver.subscribe(channel);
    const large = { text: 'né🐢\n'.repeat(5_000) };
    await sender.client.publish(channel, write(large));
    await subscription.next('publication');
    const larger = { text: 'né🐢\n'.repeat(30_000) };
    await gateway.api('publish', { channel, data: larger });
    await subscription.next('publication');
    t.same(received(subscription), [large, larger]);
  });
}

interface Listener {
  readonly received: readonly Json[];
  member(name: string): Promise<Json>;
  ended(): Promise<unknown>;
}

export const LISTENING = ['uni_websocket', 'uni_http_stream', 'uni_sse'] as const;

/** A client that only listens, by any of the three transports. */
async function listen(
  t: Test,
  { origin, ca }: Entrance,
  kind: (typeof LISTENING)[number],
  connect: object,
  { query = {}, headers = {} }: { query?: Record<string, string>; headers?: Record<string, string> } = {},
): Promise<Listener> {
  const payload = JSON.stringify(connect);
  const parameters = new URLSearchParams(query);
  if (kind === 'uni_http_stream') {
    return StreamClient.open(t, `${origin}/connection/${kind}?${parameters.toString()}`, {
      body: payload,
      headers,
      ca,
    });
  }
  parameters.set('cf_connect', payload);
  const url = `${origin}/connection/${kind}?${parameters.toString()}`;
  if (kind === 'uni_sse') return StreamClient.open(t, url, { method: 'GET', headers, ca });
  const socket = new WebSocket(url.replace(/^http/, 'ws'), { headers, ...(ca !== undefined && { ca }) });
  t.teardown(() => socket.terminate());
  const received: Json[] = [];
  let isOver = false;
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isOver = true;
  });
  socket.on('message', (data: Buffer) => {
    const message: unknown = JSON.parse(data.toString());
    if (isJson(message)) received.push(message);
  });
  const taken = new Set<Json>();
  return {
    received,
    ended: () => waitFor('the close', () => isOver),
    member: async (name) => {
      const found = await waitFor(`'${name}'`, () =>
        received.find((each) => name in each && !taken.has(each)),
      );
      taken.add(found);
      const content = found[name];
      return isJson(content) ? content : {};
    },
  };
}

export function listeningScenarios(t: Test, place: Place, kind: (typeof LISTENING)[number]): void {
  const { gateway, entrance, relay } = place;

  t.test('is told who it is, gets its channels, pings, and why it ends', async (t) => {
    const channel = randomUUID();
    const user = randomUUID();
    const listener = await listen(t, entrance, kind, { token: await token({ user, channels: [channel] }) });
    const connected = await listener.member('connect');
    t.match(connected, { client: String, session: String, node: String, ping: 2, pong: undefined });
    t.match(connected['subs'], { [channel]: {} });
    for (let n = 1; n <= 5; n += 1) await gateway.api('publish', { channel, data: { n } });
    for (let n = 1; n <= 5; n += 1) t.match(await listener.member('pub'), { data: { n } });
    await waitFor(
      'two pings',
      () => listener.received.filter((each) => Object.keys(each).length === 0).length >= 2,
    );
    await gateway.api('disconnect', { user, disconnect: { code: 4501, reason: 'go away' } });
    t.same(await listener.member('disconnect'), { code: 4501, reason: 'go away' });
    await listener.ended();
  });

  t.test('recovers by the position in its connect request', async (t) => {
    const channel = `kept:${randomUUID()}`;
    const connect = { token: await token({ user: randomUUID(), channels: [channel] }) };
    const first = await listen(t, entrance, kind, connect);
    const { subs } = await first.member('connect');
    const sub = isJson(subs) ? subs[channel] : undefined;
    if (!isJson(sub)) throw new Error('not subscribed');
    await gateway.api('publish', { channel, data: { n: 1 } });
    await first.member('pub');
    relay.cut();
    await first.ended();
    for (let n = 2; n <= 4; n += 1) await gateway.api('publish', { channel, data: { n } });
    const position = { recover: true, offset: 1, epoch: sub['epoch'] };
    const second = await listen(t, entrance, kind, { ...connect, subs: { [channel]: position } });
    t.match((await second.member('connect'))['subs'], {
      [channel]: {
        recovered: true,
        publications: [{ data: { n: 2 } }, { data: { n: 3 } }, { data: { n: 4 } }],
      },
    });
  });

  t.test('has its errors told as closes', async (t) => {
    const expired = await listen(t, entrance, kind, {
      token: await token({ expiresAtMs: Date.now() - 60_000 }),
    });
    t.same(await expired.member('disconnect'), { code: 3005, reason: 'connection expired' });
    await expired.ended();
    const wrong = await listen(t, entrance, kind, { token: 'a.b.c' });
    t.same(await wrong.member('disconnect'), { code: 3500, reason: 'invalid token' });
    await wrong.ended();
    const unknown = await listen(t, entrance, kind, { token: await token({ channels: ['no:such'] }) });
    t.same(await unknown.member('disconnect'), { code: 3004, reason: 'internal server error' });
  });

  t.test('may bring its token in the query, a header or a cookie', async (t) => {
    const channel = randomUUID();
    const signed = await token({ user: 'anna', channels: [channel] });
    for (const beside of [
      { query: { token: signed } },
      { headers: { authorization: `Bearer ${signed}` } },
      { headers: { cookie: `other=1; auth=${signed}` } },
    ]) {
      const listener = await listen(t, entrance, kind, {}, beside);
      t.match((await listener.member('connect'))['subs'], { [channel]: {} });
      const wrong = await listen(t, entrance, kind, { token: 'a.b.c' }, beside);
      t.match(await wrong.member('disconnect'), { code: 3500 }, 'the one of the command comes first');
    }
    t.notMatch(gateway.child.output, new RegExp(signed), 'no log has it');
  });
}

/** Pings so rare that it is not for a missing pong that a client which reads nothing is closed. */
export const SLOW_CONFIG = {
  ...TRANSPORTS_CONFIG,
  client: { ...TRANSPORTS_CONFIG.client, ping_interval: '60s', pong_timeout: '50s' },
};

/** A client of each kind that stops reading is closed; one that reads meanwhile misses nothing. */
export function slowReaderScenario(t: Test, { gateway, entrance }: Place, kind: string): void {
  t.test('is closed when it does not read, and delays nobody else', async (t) => {
    const channel = randomUUID();
    const connect = { token: await token({ user: 'slow', channels: [channel] }) };
    const command = JSON.stringify({ id: 1, connect });
    const { origin, ca } = entrance;
    const trust = ca === undefined ? {} : { ca };
    if (kind === 'websocket' || kind === 'uni_websocket') {
      const socket = new WebSocket(`${origin.replace(/^http/, 'ws')}/connection/${kind}`, trust);
      t.teardown(() => socket.terminate());
      socket.on('error', () => undefined);
      socket.on('open', () => {
        socket.send(kind === 'websocket' ? command : JSON.stringify(connect));
        socket.pause();
      });
    } else {
      const body = kind.startsWith('uni') ? JSON.stringify(connect) : command;
      await StreamClient.open(t, `${origin}/connection/${kind}`, { body, reads: false, ...trust });
    }
    const reader = await listen(t, entrance, 'uni_http_stream', connect);
    await reader.member('connect');
    await waitFor('both subscribers', async () => {
      const { result } = Object(await gateway.api('presence_stats', { channel }));
      return result.num_clients === 2;
    });
    const slowEnds = (): number =>
      gateway
        .logged('connection ended')
        .filter((line) => line['cause'] === 'slow' && line['transport'] === kind).length;
    const before = slowEnds();
    const text = 'x'.repeat(200_000);
    let published = 0;
    await waitFor('the end of the slow one', async () => {
      for (let each = 0; each < 5; each += 1) {
        await gateway.api('publish', { channel, data: { n: published, text } });
        published += 1;
      }
      await waitFor('the reader', () => reader.received.filter((each) => 'pub' in each).length >= published);
      return slowEnds() > before;
    });
    t.equal(slowEnds(), before + 1);
    t.same(
      reader.received.flatMap(({ pub }) => (isJson(pub) && isJson(pub['data']) ? [pub['data']['n']] : [])),
      Array.from({ length: published }, (_, n) => n),
    );
  });
}

function token(fields: Partial<Parameters<typeof signConnectionToken>[0]>): Promise<string> {
  return signConnectionToken({ user: '', ...fields }, SECRET);
}

function idOf(context: unknown): { readonly client: string } {
  if (!isJson(context) || typeof context['client'] !== 'string') throw new Error('no client id');
  return { client: context['client'] };
}
