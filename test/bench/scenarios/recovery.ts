// All clients of a channel were cut off, missed publications, and come back at the same moment.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { cpuMs } from '../measure/processes.ts';
import { HttpApi } from '../servers/http-api.ts';
import { holdfast } from '../servers/subjects.ts';
import type { Faults, Scenario } from './scenario.ts';

const CLIENTS = 1000;
const MISSED = 100;
const OPENED_AT_ONCE = 50;
const PATIENCE_MS = 60_000;
/** Time for a repeat that should not be there to arrive after everything that should. */
const AFTERMATH_MS = 300;
const CHANNEL = 'bench';
const DATA = { text: 'x'.repeat(80) };

interface Position {
  readonly epoch: string;
  readonly offset: number;
}

interface SubscribeResult {
  readonly recovered?: boolean;
  readonly epoch?: string;
  readonly offset?: number;
  readonly publications?: readonly { offset: number }[];
}

interface Message {
  readonly error?: unknown;
  readonly subscribe?: SubscribeResult;
  readonly push?: { readonly pub?: { readonly offset: number } };
}

class RecoveringClient {
  readonly #socket: WebSocket;
  readonly #onChange: () => void;
  /** Offsets in the order of their arrival. */
  readonly offsets: number[] = [];
  subscribed: SubscribeResult | undefined;
  failure: string | undefined;

  constructor(port: number, since: Position | undefined, onChange: () => void) {
    this.#onChange = onChange;
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}/connection/websocket`, { perMessageDeflate: false });
    const subscribe = { channel: CHANNEL, ...(since === undefined ? {} : { recover: true, ...since }) };
    this.#socket
      .on('open', () => {
        this.#socket.send(`{"id":1,"connect":{}}\n${JSON.stringify({ id: 2, subscribe })}`);
      })
      .on('message', (bytes: Buffer) => {
        for (const line of bytes.toString().split('\n')) this.#onMessage(line);
        onChange();
      })
      .on('error', (error) => {
        this.#fail(error.message);
      })
      .on('close', (code) => {
        this.#fail(`closed with ${code}`);
      });
  }

  async cut(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    const closed = once(this.#socket, 'close');
    this.#socket.terminate();
    await closed.catch(() => undefined);
  }

  #onMessage(line: string): void {
    if (line === '{}') {
      this.#socket.send('{}');
      return;
    }
    const message: Message = JSON.parse(line);
    if (message.error !== undefined) this.#fail(line);
    for (const { offset } of message.subscribe?.publications ?? []) this.offsets.push(offset);
    if (message.push?.pub !== undefined) this.offsets.push(message.push.pub.offset);
    if (message.subscribe !== undefined) this.subscribed = message.subscribe;
  }

  #fail(what: string): void {
    this.failure ??= what;
    this.#onChange();
  }
}

/** Opens clients, `atOnce` at a time, and returns them when `isDone` holds for each. */
async function openAll(
  port: number,
  since: Position | undefined,
  atOnce: number,
  isDone: (client: RecoveringClient) => boolean,
): Promise<{ clients: RecoveringClient[]; tookMs: readonly number[] }> {
  const clients: RecoveringClient[] = [];
  const tookMs: number[] = [];
  const startMs = performance.now();
  while (clients.length < CLIENTS) {
    const opened = Array.from(
      { length: Math.min(atOnce, CLIENTS - clients.length) },
      async () =>
        new Promise<void>((resolve, reject) => {
          const patience = setTimeout(() => {
            reject(
              new Error(
                `a client was not complete after ${PATIENCE_MS} ms: ${client.offsets.length} publications`,
              ),
            );
          }, PATIENCE_MS);
          const client = new RecoveringClient(port, since, () => {
            if (client.failure === undefined && !isDone(client)) return;
            clearTimeout(patience);
            if (client.failure !== undefined) reject(new Error(`a client failed: ${client.failure}`));
            else {
              tookMs.push(performance.now() - startMs);
              resolve();
            }
          });
          clients.push(client);
        }),
    );
    await Promise.all(opened);
  }
  return { clients, tookMs };
}

function faultsOf(clients: readonly RecoveringClient[], since: number): Faults {
  const faults = { lost: 0, repeated: 0, reordered: 0, stray: 0 };
  for (const { offsets } of clients) {
    const seen = new Set(offsets);
    faults.repeated += offsets.length - seen.size;
    for (let offset = since + 1; offset <= since + MISSED; offset++) {
      if (!seen.delete(offset)) faults.lost++;
    }
    faults.stray += seen.size;
    faults.reordered += offsets.filter((offset, index) => offset < (offsets[index - 1] ?? 0)).length;
  }
  return faults;
}

export const recovery: Scenario = {
  name: 'recovery',
  title: 'Everybody comes back at once',
  subjects: [holdfast(1, 'with history')],
  smokeSubjects: [],
  rounds: 5,
  figures: [
    { key: 'tookMs', label: 'until all have everything', unit: 'ms', digits: 0 },
    { key: 'p50Ms', label: 'until half have it', unit: 'ms', digits: 0 },
    { key: 'cpuUs', label: 'server CPU per client', unit: 'µs', digits: 0 },
    { key: 'generatorUs', label: 'generator CPU per client', unit: 'µs', digits: 0 },
  ],
  plotted: 'tookMs',
  goals: [],
  method: () =>
    `${CLIENTS} clients subscribe to a channel with history and are cut off; ${MISSED} publications of about 100 bytes follow; then ` +
    'all connect at the same moment and subscribe with recovery from their last position. Time and CPU run from the first ' +
    'connect until the last client has every publication; each must have each exactly once and in order.',
  async measure(subject, run) {
    const server = await run.server(subject);
    const api = new HttpApi(server.port, 1);
    let clients: readonly RecoveringClient[] = [];
    try {
      run.progress('subscribing');
      ({ clients } = await openAll(
        server.port,
        undefined,
        OPENED_AT_ONCE,
        (client) => client.subscribed !== undefined,
      ));
      const { epoch = '', offset: since = 0 } = clients[0]?.subscribed ?? {};
      await Promise.all(clients.map(async (client) => client.cut()));
      clients = [];
      run.progress('publishing');
      for (let i = 0; i < MISSED; i++) await api.publish(CHANNEL, DATA);
      run.progress('coming back');
      const startMs = cpuMs(server.pids);
      const own = process.cpuUsage();
      const back = await openAll(
        server.port,
        { epoch, offset: since },
        CLIENTS,
        ({ subscribed, offsets }) => subscribed !== undefined && offsets.length >= MISSED,
      );
      clients = back.clients;
      const cpuUs = ((cpuMs(server.pids) - startMs) * 1000) / CLIENTS;
      const { user, system } = process.cpuUsage(own);
      await sleep(AFTERMATH_MS);
      server.assertUnchanged();
      const failed = clients.find(({ failure }) => failure !== undefined);
      if (failed !== undefined) throw new Error(`a client failed: ${failed.failure}`);
      if (clients.some(({ subscribed }) => subscribed?.recovered !== true)) {
        throw new Error('a client was told that it could not recover');
      }
      const times = back.tookMs.toSorted((a, b) => a - b);
      return {
        figures: {
          tookMs: times.at(-1) ?? Number.NaN,
          p50Ms: times[times.length >> 1] ?? Number.NaN,
          cpuUs,
          generatorUs: (user + system) / CLIENTS,
        },
        faults: faultsOf(clients, since),
        warnings: [],
      };
    } finally {
      api.close();
      await Promise.all(clients.map(async (client) => client.cut()));
    }
  },
};
