// Starts the compiled program as its users do, on a port of its own, and waits until it takes clients.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Child, type Exit } from './child.ts';
import { childPids } from './processes.ts';
import { MAIN } from './program.ts';
import type { Scope } from './scope.ts';
import { tempDir } from './temp-dir.ts';

/** Several Node processes come up, perhaps on a machine that does other things. */
const START_DEADLINE_MS = 60_000;

export const API_KEY = 'key-of-the-tests';

export const CONFIG_FILE = 'config.json';
const CONTROL_SOCKET = 'control.sock';

export type LogLine = Readonly<Record<string, unknown>>;

export interface GatewayOptions {
  /** Merged, section by section, over a configuration that lets everybody in: `{ client: { insecure: false } }`. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly workers?: number;
  readonly args?: readonly string[];
  /** Another copy of the program. */
  readonly program?: string;
}

export class Gateway {
  readonly child: Child;
  readonly port: number;
  /** Its temporary directory: configuration, control socket, and what it makes itself. */
  readonly directory: string;

  constructor(child: Child, port: number, directory: string) {
    this.child = child;
    this.port = port;
    this.directory = directory;
  }

  get configFile(): string {
    return join(this.directory, CONFIG_FILE);
  }

  get controlSocket(): string {
    return join(this.directory, CONTROL_SOCKET);
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get wsUrl(): string {
    return `ws://127.0.0.1:${this.port}/connection/websocket`;
  }

  get apiUrl(): string {
    return `${this.httpUrl}/api`;
  }

  /** Every JSON line logged so far. */
  get logs(): LogLine[] {
    return logLines(this.child.output);
  }

  /** Lines with this message. */
  logged(message: string): LogLine[] {
    return this.logs.filter((line) => line['msg'] === message);
  }

  /** Calls a method of the server API and returns what it answered. */
  async api(method: string, params: unknown): Promise<unknown> {
    const response = await fetch(`${this.apiUrl}/${method}`, {
      method: 'POST',
      headers: { 'X-API-Key': API_KEY, 'Content-Type': 'application/json' },
      body: JSON.stringify(params),
    });
    if (response.status !== 200) throw new Error(`${method}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** Sum over all labels of a metric of the host, its name without the prefix. */
  async metric(name: string, labels = ''): Promise<number> {
    const text = await (await fetch(`${this.httpUrl}/metrics`)).text();
    const lines = text.split('\n').filter((line) => {
      const [series = ''] = line.split(' ');
      return series.split('{')[0] === `holdfast_${name}` && series.includes(labels);
    });
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  /** Process ids of the workers, in the order in which they were started. */
  workerPids(): Promise<number[]> {
    return childPids(this.child.pid);
  }

  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    return this.child.stop(signal);
  }

  /** Runs a command of the program against this gateway, to its end. */
  async command(scope: Scope, ...args: string[]): Promise<{ readonly exit: Exit; readonly output: string }> {
    const child = new Child(scope, process.execPath, [
      MAIN,
      ...args,
      '--config',
      join(this.directory, CONFIG_FILE),
    ]);
    return { exit: await child.exited, output: child.output };
  }
}

export async function startGateway(scope: Scope, options: GatewayOptions = {}): Promise<Gateway> {
  const directory = await tempDir(scope);
  const configFile = join(directory, CONFIG_FILE);
  const workers = options.workers ?? 2;
  const defaults = {
    workers,
    http_server: { address: '127.0.0.1', port: 0 },
    http_api: { key: API_KEY },
    client: { insecure: true },
    control: { socket: join(directory, CONTROL_SOCKET) },
    // Long enough to be seen, short enough to be waited for.
    shutdown: { timeout: '5s' },
  };
  await writeFile(configFile, JSON.stringify(mergeSections(defaults, options.config ?? {})));
  const args = [options.program ?? MAIN, 'serve', '--config', configFile, ...(options.args ?? [])];
  const child = new Child(
    scope,
    process.execPath,
    args,
    options.env === undefined ? {} : { env: options.env },
  );
  const port = await child.waitUntil(
    'the log line `listening`',
    () => listeningPort(child.output),
    START_DEADLINE_MS,
  );
  const gateway = new Gateway(child, port, directory);
  // It serves from its first worker on; tests count on all of them.
  await child.waitUntil(
    'all workers',
    () => gateway.logged('worker ready').length >= workers,
    START_DEADLINE_MS,
  );
  await child.waitUntil('readiness', () => isReady(healthAddress(gateway)), START_DEADLINE_MS);
  return gateway;
}

/** `host:port` of the internal listener where there is one. */
function healthAddress(gateway: Gateway): string {
  const internal = gateway.logged('listening')[0]?.['internal'];
  const first: unknown = Array.isArray(internal) ? internal[0] : undefined;
  return typeof first === 'string' ? first : `127.0.0.1:${gateway.port}`;
}

async function isReady(address: string): Promise<boolean> {
  try {
    const response = await fetch(`http://${address}/readyz`);
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

/** Of the line that says where it listens: `{ msg: 'listening', url: 'ws://...' }`. */
function listeningPort(output: string): number | undefined {
  for (const line of logLines(output)) {
    const { msg, url } = line;
    if (msg === 'listening' && typeof url === 'string') return Number(new URL(url).port);
  }
  return undefined;
}

export function logLines(output: string): LogLine[] {
  return output.split('\n').flatMap((line) => {
    if (!line.startsWith('{')) return [];
    try {
      const parsed: unknown = JSON.parse(line);
      return isRecord(parsed) ? [parsed] : [];
    } catch {
      // The last line may be half written.
      return [];
    }
  });
}

function mergeSections(base: LogLine, over: LogLine): LogLine {
  const merged: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(over)) {
    const section = merged[name];
    merged[name] = isRecord(section) && isRecord(value) ? { ...section, ...value } : value;
  }
  return merged;
}

function isRecord(value: unknown): value is LogLine {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
