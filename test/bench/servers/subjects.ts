// The servers that are compared, each started the same way: a Node process of its own, from a program of ours.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DialectName } from '../load/dialects.ts';
import { RunningServer, type ServerUnderTest } from './running.ts';

export interface StartOptions {
  /** Tell publishers that a publication was taken (Holdfast always does). */
  readonly acknowledge: boolean;
  /** For all Node processes of the server. */
  readonly nodeArgs: readonly string[];
}

export interface Subject {
  readonly name: string;
  readonly dialect: DialectName;
  readonly workers: number;
  start(options: StartOptions): Promise<ServerUnderTest>;
}

const HOLDFAST_PROGRAM = program('../../../src/main.js');

export function program(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

export async function announcedPort(output: string): Promise<number | undefined> {
  const port = /^listening (\d+)$/m.exec(output)?.[1];
  return Promise.resolve(port === undefined ? undefined : Number(port));
}

function ownProgram(name: string, dialect: DialectName, file: string, workers: number): Subject {
  return {
    name,
    dialect,
    workers,
    async start({ acknowledge, nodeArgs }) {
      const args = [...nodeArgs, program(file), String(workers), acknowledge ? 'ack' : ''];
      const server = new RunningServer(name, args);
      return started(server, workers === 1 ? 1 : workers + 1, announcedPort);
    },
  };
}

/** One worker of the same, in another mode. */
function ownVariant(
  name: string,
  dialect: DialectName,
  file: string,
  mode: string,
  processes: number,
): Subject {
  return {
    name,
    dialect,
    workers: 1,
    start: ({ nodeArgs }) =>
      started(new RunningServer(name, [...nodeArgs, program(file), '1', mode]), processes, announcedPort),
  };
}

export async function started(
  server: RunningServer,
  processes: number,
  readyPort: (output: string) => Promise<number | undefined>,
): Promise<RunningServer> {
  try {
    await server.ready(processes, readyPort);
    return server;
  } catch (error) {
    server.kill();
    throw error;
  }
}

export const bare = (workers: number): Subject =>
  ownProgram(workers === 1 ? 'bare' : `bare ×${workers}`, 'bare', '../bare-server.js', workers);

/** The floor for a server whose primary accepts and passes every connection on to a worker: it does nothing else. */
export const barePassed = ownVariant('bare passed on', 'bare', '../bare-server.js', 'passed', 2);

export const socketio = (workers: number): Subject =>
  ownProgram(
    workers === 1 ? 'socket.io' : `socket.io ×${workers}`,
    'socket.io',
    '../socketio-server.js',
    workers,
  );

/** What its client does by default: HTTP requests open the session, then a WebSocket takes over. */
export const socketioFromPolling = ownVariant(
  'socket.io from polling',
  'socket.io from polling',
  '../socketio-server.js',
  'polling',
  1,
);

/** The same server, which answers publishers in any case, as Holdfast does. */
export const answering = (subject: Subject): Subject => ({
  ...subject,
  name: `${subject.name} answering`,
  start: (options) => subject.start({ ...options, acknowledge: true }),
});

export function holdfastIsBuilt(): boolean {
  return existsSync(HOLDFAST_PROGRAM);
}

/** Opens the HTTP API of Holdfast to the benchmark. */
export const API_KEY = 'key-of-the-benchmark';

/** The compiled program with the embedded engine; anonymous clients may subscribe and publish everywhere. */
export const holdfast = (workers: number, variant?: 'with history' | 'protobuf'): Subject => {
  const name = ['holdfast', workers > 1 && `×${workers}`, variant].filter(Boolean).join(' ');
  return {
    name,
    dialect: variant === 'protobuf' ? 'holdfast protobuf' : 'holdfast',
    workers,
    start: ({ nodeArgs }) =>
      startHoldfast({ name, workers, nodeArgs, history: variant === 'with history', redisPort: undefined }),
  };
};

export interface HoldfastOptions {
  readonly name: string;
  readonly workers: number;
  readonly nodeArgs: readonly string[];
  readonly history: boolean;
  /** Undefined: the embedded engine. */
  readonly redisPort: number | undefined;
}

export async function startHoldfast(options: HoldfastOptions): Promise<RunningServer> {
  const { name, workers, nodeArgs } = options;
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const file = join(folder, 'config.json');
  writeFileSync(file, JSON.stringify(config(port, folder, options)));
  const args = [...nodeArgs, HOLDFAST_PROGRAM, 'serve', '--config', file];
  const server = new RunningServer(name, args, () => {
    rmSync(folder, { recursive: true, force: true });
  });
  server.controlSocket = join(folder, 'control.sock');
  return started(server, workers + 1, async () => ((await isReady(port)) ? port : undefined));
}

function config(port: number, folder: string, { workers, history, redisPort }: HoldfastOptions): unknown {
  return {
    workers,
    http_server: { address: '127.0.0.1', port },
    http_api: { key: API_KEY },
    client: { allow_anonymous_connect_without_token: true },
    channel: {
      without_namespace: {
        allow_subscribe_for_client: true,
        allow_subscribe_for_anonymous: true,
        allow_publish_for_client: true,
        allow_publish_for_anonymous: true,
        ...(history ? { history_size: 200, history_ttl: '10m', force_recovery: true } : {}),
      },
    },
    ...(redisPort === undefined
      ? {}
      : { engine: { type: 'redis', redis: { address: `redis://127.0.0.1:${redisPort}` } } }),
    control: { socket: join(folder, 'control.sock') },
    shutdown: { timeout: '2s' },
    log: { level: 'warn' },
  };
}

async function isReady(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(1000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  });
}
