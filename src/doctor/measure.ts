// What an idle connection costs on this machine: a gateway of its own with one worker, and clients that only sit there.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { connectControl, type ControlClient } from '../cluster/control/control-client.ts';
import type { HostStatus } from '../cluster/load/host-status.ts';
import { pause } from '../util/pause.ts';
import type { MemoryFigures } from './facts.ts';
import { residentBytes } from './read/machine.ts';

export interface MeasureOptions {
  /** The built program. */
  readonly program: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly sample: number;
  readonly onProgress: (open: number) => void;
  /** Aborted, it ends at once and rejects. */
  readonly signal: AbortSignal;
}

const START_DEADLINE_MS = 30_000;
const POLL_MS = 100;
/** Before the first figure is taken: the heap of a fresh worker grows by itself. */
const WARM_UP_SHARE = 0.2;
const AT_A_TIME = 50;
/** Vitals come once a second, and memory that was only borrowed for the handshakes is given back meanwhile. */
const SETTLE_MS = 3_000;

interface Reading {
  readonly primaryBytes: number;
  readonly residentBytes: number;
}

/** Takes some seconds. Every process and file of it is gone afterwards. */
export async function measureMemory(options: MeasureOptions): Promise<MemoryFigures> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-doctor-'));
  const socketPath = join(directory, 'control.sock');
  const gateway = spawn(process.execPath, [options.program, 'serve'], {
    stdio: 'ignore',
    env: environmentFor(options.environment, directory, socketPath),
  });
  const ended = once(gateway, 'exit');
  ended.catch(() => undefined);
  const stop = (): void => void gateway.kill('SIGKILL');
  options.signal.addEventListener('abort', stop, { once: true });
  const clients: WebSocket[] = [];
  let control: ControlClient | undefined;
  try {
    control = await controlOf(socketPath, () => gateway.exitCode === null && gateway.signalCode === null);
    const url = await urlOf(control);
    const open = async (count: number): Promise<void> => {
      while (clients.length < count) {
        const batch = Math.min(AT_A_TIME, count - clients.length);
        clients.push(
          ...(await Promise.all(Array.from({ length: batch }, (_, at) => client(url, clients.length + at)))),
        );
        options.onProgress(clients.length);
      }
    };
    const empty = await reading(control, options.signal);
    const warm = Math.ceil(options.sample * WARM_UP_SHARE);
    await open(warm);
    const before = await reading(control, options.signal);
    await open(warm + options.sample);
    const after = await reading(control, options.signal);
    return {
      sample: options.sample,
      primaryBytes: after.primaryBytes,
      workerBytes: empty.residentBytes,
      connectionBytes: Math.max(1, Math.round((after.residentBytes - before.residentBytes) / options.sample)),
    };
  } finally {
    options.signal.removeEventListener('abort', stop);
    for (const each of clients) each.terminate();
    control?.close();
    gateway.kill('SIGKILL');
    if (gateway.pid !== undefined) await ended.catch(() => undefined);
    await rm(directory, { recursive: true, force: true });
  }
}

/** Nothing of the configuration of the real gateway: the sample needs neither its tokens nor its Redis. */
function environmentFor(
  environment: Readonly<Record<string, string | undefined>>,
  directory: string,
  socketPath: string,
): Record<string, string> {
  const own = Object.entries(environment).flatMap(([name, value]) =>
    value === undefined || /^(?:HOLDFAST_|NOTIFY_SOCKET$|WATCHDOG_|LISTEN_|STATE_DIRECTORY$)/.test(name)
      ? []
      : [[name, value] as const],
  );
  return {
    ...Object.fromEntries(own),
    // What it makes there is removed with the directory: it is killed and cannot do that itself.
    TMPDIR: directory,
    HOLDFAST_WORKERS: '1',
    HOLDFAST_HTTP_SERVER_ADDRESS: '127.0.0.1',
    HOLDFAST_HTTP_SERVER_PORT: '0',
    HOLDFAST_CLIENT_INSECURE: 'true',
    HOLDFAST_CONTROL_SOCKET: socketPath,
    HOLDFAST_LOG_LEVEL: 'none',
  };
}

async function controlOf(path: string, isAlive: () => boolean): Promise<ControlClient> {
  const deadlineMs = Date.now() + START_DEADLINE_MS;
  for (;;) {
    try {
      return await connectControl(path);
    } catch (error) {
      if (!isAlive() || Date.now() > deadlineMs) {
        throw new Error('the gateway for the measurement does not start', { cause: error });
      }
    }
    await pause(POLL_MS);
  }
}

async function urlOf(control: ControlClient): Promise<string> {
  const deadlineMs = Date.now() + START_DEADLINE_MS;
  for (;;) {
    const [address] = (await statusOf(control)).listening;
    if (address !== undefined) return `ws://${address}/connection/websocket`;
    if (Date.now() > deadlineMs) throw new Error('the gateway for the measurement does not serve');
    await pause(POLL_MS);
  }
}

async function statusOf(control: ControlClient): Promise<HostStatus> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same program answers
  return (await control.request('status')) as HostStatus;
}

async function reading(control: ControlClient, signal: AbortSignal): Promise<Reading> {
  await pause(SETTLE_MS, signal);
  const { pid, workers } = await statusOf(control);
  const [worker] = workers;
  if (worker?.pid === undefined || worker.pid === null)
    throw new Error('the worker of the measurement is gone');
  return {
    primaryBytes: residentBytes(pid),
    residentBytes: residentBytes(worker.pid),
  };
}

/** Resolves when it is connected and subscribed to a channel of its own. */
async function client(url: string, index: number): Promise<WebSocket> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the gateway for the measurement closed a connection')));
    socket.on('open', () => {
      socket.send(
        `${JSON.stringify({ id: 1, connect: {} })}\n${JSON.stringify({ id: 2, subscribe: { channel: `sample-${index}` } })}`,
      );
    });
    socket.on('message', (data: Buffer) => {
      const text = data.toString();
      if (text === '{}') socket.send('{}');
      else if (text.includes('"id":2')) resolve();
    });
  });
  return socket;
}
