// The primary's control socket: commands on this host ask a running gateway, in newline-delimited JSON.
// Request {id, method, params}; answers {id, progress}... and one {id, result} or {id, error: {code, message}}.
import { mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Logger } from '../../observe/logger.ts';
import { asError, ConfigError, HoldfastError, messageOf, UnavailableError } from '../../util/errors.ts';
import { listenBeside } from '../../util/listen-beside.ts';
import { listenError } from '../../util/listen-error.ts';
import { JsonLines, jsonLine } from './json-lines.ts';
import { removeStaleSocket } from '../public-listener.ts';

/** Its result, or what it resolves to, answers the request; `progress` may be called before. */
export type ControlMethod = (params: unknown, progress: (value: unknown) => void) => unknown;

interface ControlServerDeps {
  readonly logger: Logger;
  readonly methods: Readonly<Record<string, ControlMethod>>;
}

const MAX_REQUEST_BYTES = 65_536;
const MAX_CLIENTS = 32;
const OWNER_ONLY_UMASK = 0o177;

interface Request {
  readonly id: string | number;
  readonly method: string;
  readonly params: unknown;
}

export class ControlServer {
  readonly #deps: ControlServerDeps;
  readonly #server: Server = createServer((socket) => this.#accept(socket));
  readonly #clients = new Set<Socket>();
  #isOpen = false;
  #path: string | undefined;

  constructor(deps: ControlServerDeps) {
    this.#deps = deps;
    this.#server.maxConnections = MAX_CLIENTS;
  }

  /** Creates the socket, and its directory, for this user alone. */
  async listen(path: string): Promise<void> {
    makeDirectoryOf(path);
    await removeStaleSocket(path).catch((error: unknown) => {
      if (!(error instanceof UnavailableError)) throw error;
      throw new UnavailableError(
        `a gateway serves at the control socket ${path} already: \`holdfast status\` shows it; give this one another port, or control.socket`,
        { cause: error },
      );
    });
    const appear = await this.prepare(path);
    appear();
  }

  /** The same where another gateway still listens: resolves to what takes the socket over from it. */
  async prepare(path: string): Promise<() => void> {
    makeDirectoryOf(path);
    // The file appears within listen(): with another mode it would be open to others for a moment.
    const umask = process.umask(OWNER_ONLY_UMASK);
    const prepared = listenBeside(this.#server, path);
    process.umask(umask);
    const appear = await prepared.catch((error: unknown) => {
      throw listenError(asError(error), `${path} (control.socket)`);
    });
    this.#isOpen = true;
    return () => {
      appear();
      this.#path = path;
    };
  }

  /** Removes the socket, unless another gateway has it now. May be called twice. */
  async close(isHandedOver = false): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    // Whoever waited for the end of the gateway is answered in this turn, and the answer still has to leave.
    await new Promise(setImmediate);
    for (const client of this.#clients) client.end(() => client.destroy());
    await closed;
    if (this.#path !== undefined && !isHandedOver) rmSync(this.#path, { force: true });
    this.#path = undefined;
  }

  #accept(socket: Socket): void {
    const lines = new JsonLines(MAX_REQUEST_BYTES);
    this.#clients.add(socket);
    socket.setEncoding('utf8');
    socket.on('close', () => this.#clients.delete(socket));
    socket.on('error', (error) => this.#deps.logger.debug({ err: error }, 'control client failed'));
    socket.on('data', (text: string) => {
      try {
        for (const request of lines.take(text)) void this.#serve(socket, request);
      } catch (error) {
        socket.end(jsonLine({ id: null, error: { code: 'HOLDFAST_REQUEST', message: messageOf(error) } }));
      }
    });
  }

  async #serve(socket: Socket, request: unknown): Promise<void> {
    const answer = (reply: Readonly<Record<string, unknown>>): void => {
      if (socket.writable) socket.write(jsonLine(reply));
    };
    if (!isRequest(request)) {
      answer({ id: null, error: { code: 'HOLDFAST_REQUEST', message: 'expected {id, method, params}' } });
      return;
    }
    const { id, method, params } = request;
    const handler = Object.hasOwn(this.#deps.methods, method) ? this.#deps.methods[method] : undefined;
    if (handler === undefined) {
      answer({ id, error: { code: 'HOLDFAST_METHOD', message: `this gateway knows no '${method}'` } });
      return;
    }
    try {
      const result: unknown = await handler(params, (progress) => answer({ id, progress }));
      answer({ id, result: result ?? null });
    } catch (error) {
      const code = error instanceof HoldfastError ? error.code : 'HOLDFAST_INTERNAL';
      this.#deps.logger.warn({ err: error, method }, 'control request failed');
      answer({ id, error: { code, message: messageOf(error) } });
    }
  }
}

function makeDirectoryOf(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new ConfigError(
      `the directory of the control socket ${path} cannot be made (${messageOf(cause)}): say with control.socket where it shall be`,
      { cause },
    );
  }
}

function isRequest(value: unknown): value is Request {
  return (
    typeof value === 'object' &&
    value !== null &&
    'id' in value &&
    (typeof value.id === 'string' || typeof value.id === 'number') &&
    'method' in value &&
    typeof value.method === 'string'
  );
}
