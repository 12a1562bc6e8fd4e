// The primary's listening sockets for clients: a TCP port and, beside it, a UNIX socket for a proxy on the same host.
import { lstatSync, rmSync } from 'node:fs';
import { connect, createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import type { Logger } from '../observe/logger.ts';
import { addressText } from '../util/address-text.ts';
import { ConfigError, UnavailableError } from '../util/errors.ts';
import { listenError } from '../util/listen-error.ts';
import type { ActivatedSocket } from './socket-activation.ts';

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string | undefined; readonly port: number }
  /** Open to every local user unless its directory is not: the proxy runs as another one. */
  | { readonly kind: 'unix'; readonly path: string }
  /** Opened by systemd, with a backlog and a name of its own. */
  | ActivatedSocket;

/** The kernel cuts it to net.core.somaxconn; Node's default of 511 is a storm's first victim. */
const BACKLOG = 16_384;

interface ListenerDeps {
  readonly logger: Logger;
  readonly onConnection: (socket: Socket) => void;
}

export class PublicListener {
  readonly #servers: Server[] = [];
  readonly #unixPaths: string[] = [];
  readonly #deps: ListenerDeps;

  constructor(deps: ListenerDeps) {
    this.#deps = deps;
  }

  /** Resolves to where it listens: `host:port` or `unix:path`. */
  async listen(address: ListenAddress): Promise<string> {
    if (address.kind === 'unix') await removeStaleSocket(address.path);
    // Half-open as http.Server: a client may end its side after the request.
    const server = createServer({ allowHalfOpen: true }, this.#deps.onConnection);
    await new Promise<void>((resolve, reject) => {
      const onError = (error: Error): void => reject(listenError(error, placeText(address)));
      server.once('error', onError);
      server.once('listening', () => server.off('error', onError));
      server.listen(listenOptions(address), resolve);
    });
    // Out of descriptors, most likely: those that are open are not concerned, later ones may succeed.
    server.on('error', (error) => this.#deps.logger.error({ err: error }, 'cannot accept a connection'));
    this.#servers.push(server);
    if (address.kind === 'unix') this.#unixPaths.push(address.path);
    // Node does not know the path of a UNIX socket that it did not open.
    const bound = server.address();
    return bound === null ? placeText(address) : addressText(bound);
  }

  /** No more connections; the socket files are removed. May be called twice. */
  close(): void {
    for (const server of this.#servers) if (server.listening) server.close();
    for (const path of this.#unixPaths) rmSync(path, { force: true });
    this.#unixPaths.length = 0;
  }
}

function listenOptions(address: ListenAddress): ListenOptions | { readonly fd: number } {
  switch (address.kind) {
    case 'unix':
      return { path: address.path, backlog: BACKLOG, readableAll: true, writableAll: true };
    case 'tcp': {
      const { host, port } = address;
      return { port, backlog: BACKLOG, ...(host === undefined ? {} : { host }) };
    }
    case 'fd':
      return { fd: address.fd };
  }
}

function placeText(address: ListenAddress): string {
  switch (address.kind) {
    case 'unix':
      return address.path;
    case 'tcp':
      return `port ${address.port}`;
    case 'fd':
      return `systemd:${address.name === '' ? address.fd : address.name}`;
  }
}

/** Removes a socket file that a process left behind when it was killed; one that somebody still serves is an error. */
export async function removeStaleSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket())
    throw new ConfigError(`${path} exists and is not a socket: remove it or choose another path`);
  const served = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (served) throw new UnavailableError(`${path} is in use by another program: stop it or choose another`);
  rmSync(path, { force: true });
}
