// A deploy as official clients see it: Holdfast reloads, socket.io restarts with connection state recovery.
import { setTimeout as sleep } from 'node:timers/promises';
import { Centrifuge } from 'centrifuge';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';
import { connectControl } from '../../../src/cluster/control/control-client.ts';
import { HttpApi } from '../servers/http-api.ts';
import { RecoveringServer, recoveringSocketio } from '../servers/recovering.ts';
import type { ServerUnderTest } from '../servers/running.ts';
import { holdfast } from '../servers/subjects.ts';
import { NO_FAULTS, type Run, type Scenario } from './scenario.ts';

interface Sizes {
  readonly clients: number;
  readonly quietMs: number;
}

const FULL: Sizes = { clients: 500, quietMs: 3000 };
const SMOKE: Sizes = { clients: 10, quietMs: 300 };
const PUBLISH_EVERY_MS = 20;
const AT_ONCE = 50;
const PATIENCE_MS = 60_000;
const CHANNEL = 'deploy';

const sizes = (run: Pick<Run, 'smoke'>): Sizes => (run.smoke ? SMOKE : FULL);

/** What one client has gone through. */
class Witness {
  disconnects = 0;
  blindMs = 0;
  repeated = 0;
  reordered = 0;
  last = 0;
  readonly #seen = new Set<number>();
  #sinceMs: number | undefined;

  hear(n: number): void {
    if (this.#seen.has(n)) this.repeated += 1;
    else if (n < this.last) this.reordered += 1;
    this.#seen.add(n);
    this.last = Math.max(this.last, n);
  }

  cut(): void {
    this.disconnects += 1;
    this.#sinceMs ??= performance.now();
  }

  back(): void {
    if (this.#sinceMs !== undefined) this.blindMs += performance.now() - this.#sinceMs;
    this.#sinceMs = undefined;
  }

  lostOf(published: number): number {
    return published - this.#seen.size;
  }
}

interface Audience {
  readonly witnesses: readonly Witness[];
  publish(n: number): Promise<void> | void;
  replace(): Promise<void>;
  leave(): void;
}

export const deploy: Scenario = {
  name: 'deploy',
  title: 'A deploy as clients see it',
  subjects: [recoveringSocketio, holdfast(2)],
  smokeSubjects: ['socket.io with recovery', 'holdfast ×2'],
  rounds: 3,
  replacesProcesses: true,
  figures: [
    { key: 'clients', label: 'clients', unit: '', digits: 0 },
    { key: 'disconnected', label: 'disconnected', unit: '', digits: 0 },
    { key: 'blindP50S', label: 'blind for, median', unit: 's', digits: 2 },
    { key: 'blindMaxS', label: 'longest', unit: 's', digits: 2 },
    { key: 'published', label: 'messages published', unit: '', digits: 0 },
    { key: 'lost', label: 'not received, over all clients', unit: '', digits: 0 },
    { key: 'repeated', label: 'received twice', unit: '', digits: 0 },
    { key: 'tookS', label: 'the deploy took', unit: 's', digits: 1 },
  ],
  plotted: 'blindP50S',
  goals: [{ figure: 'disconnected', of: 'holdfast ×2', atMost: 0 }],
  method(run) {
    return (
      `${sizes(run).clients} official clients (socket.io-client; centrifuge), all in one channel that gets a message every ` +
      `${PUBLISH_EVERY_MS} ms without a break. Holdfast: \`holdfast reload\` of two workers, the channel has no history, messages come ` +
      'by its HTTP API. socket.io: one process, SIGTERM and a start on the same port, with connection state recovery over the Redis ' +
      'Streams adapter; messages come from another host on the same Redis. A client is blind from `disconnect` to the next ' +
      '`connect`. What socket.io loses is a figure here, not a fault of the run.'
    );
  },
  async measure(subject, run) {
    const { clients, quietMs } = sizes(run);
    const server = await run.server(subject);
    const audience =
      server instanceof RecoveringServer
        ? await socketioAudience(server, clients)
        : await holdfastAudience(server, clients);
    try {
      let published = 0;
      const over = new AbortController();
      const publishing = (async (): Promise<void> => {
        while (!over.signal.aborted) {
          published += 1;
          await audience.publish(published);
          await sleep(PUBLISH_EVERY_MS);
        }
      })();
      await sleep(quietMs);
      run.progress('replacing');
      const startMs = performance.now();
      await audience.replace();
      const tookMs = performance.now() - startMs;
      await until(() => audience.witnesses.every(({ last }) => last > published - 100));
      await sleep(quietMs);
      over.abort();
      await publishing;
      await until(() => audience.witnesses.every(({ last }) => last === published));
      const { witnesses } = audience;
      const sum = (of: (each: Witness) => number): number =>
        witnesses.reduce((all, each) => all + of(each), 0);
      const blindMs = witnesses.map((each) => each.blindMs).toSorted((one, other) => one - other);
      const lost = sum((each) => each.lostOf(published));
      const repeated = sum((each) => each.repeated);
      const reordered = sum((each) => each.reordered);
      return {
        figures: {
          clients,
          disconnected: witnesses.filter(({ disconnects }) => disconnects > 0).length,
          blindP50S: (blindMs[Math.floor(blindMs.length / 2)] ?? 0) / 1000,
          blindMaxS: (blindMs.at(-1) ?? 0) / 1000,
          published,
          lost,
          repeated,
          tookS: tookMs / 1000,
        },
        faults: server instanceof RecoveringServer ? NO_FAULTS : { ...NO_FAULTS, lost, repeated, reordered },
        warnings: [],
      };
    } finally {
      audience.leave();
    }
  },
};

/** Resolves when it is so, or when there is no hope: the figures say what was missing. */
async function until(isSo: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!isSo() && performance.now() < deadlineMs) await sleep(50);
}

async function gather(count: number, join: (witness: Witness) => Promise<void>): Promise<readonly Witness[]> {
  const witnesses = Array.from({ length: count }, () => new Witness());
  for (let at = 0; at < count; at += AT_ONCE) await Promise.all(witnesses.slice(at, at + AT_ONCE).map(join));
  return witnesses;
}

async function socketioAudience(server: RecoveringServer, count: number): Promise<Audience> {
  const sockets: { disconnect(): unknown }[] = [];
  const witnesses = await gather(count, async (witness) => {
    const socket = io(`http://127.0.0.1:${server.port}`, { transports: ['websocket'], forceNew: true });
    sockets.push(socket);
    socket.on('p', (n: number) => witness.hear(n));
    socket.on('disconnect', () => witness.cut());
    socket.on('connect', () => witness.back());
    await new Promise<void>((resolve) => {
      socket.once('connect', () => resolve());
    });
  });
  return {
    witnesses,
    publish: (n) => server.publish(n),
    replace: async () => server.restart(),
    leave: () => {
      for (const socket of sockets) socket.disconnect();
    },
  };
}

async function holdfastAudience(server: ServerUnderTest, count: number): Promise<Audience> {
  const { controlSocket } = server;
  if (controlSocket === undefined) throw new Error('this server has no control socket');
  const api = new HttpApi(server.port, 1);
  const clients: Centrifuge[] = [];
  const witnesses = await gather(count, async (witness) => {
    const client = new Centrifuge(`ws://127.0.0.1:${server.port}/connection/websocket`, {
      websocket: WebSocket,
    });
    clients.push(client);
    const subscription = client.newSubscription(CHANNEL);
    subscription.on('publication', ({ data }: { data: unknown }) => witness.hear(Number(data)));
    client.on('connected', () => witness.back());
    let connects = 0;
    client.on('connecting', () => {
      connects += 1;
      if (connects > 1) witness.cut();
    });
    subscription.subscribe();
    client.connect();
    await subscription.ready();
  });
  return {
    witnesses,
    publish: async (n) => {
      await api.publish(CHANNEL, n);
    },
    replace: async () => {
      const control = await connectControl(controlSocket);
      await control.request('reload', null, () => undefined);
      control.close();
    },
    leave: () => {
      for (const client of clients) client.disconnect();
      api.close();
    },
  };
}
