// The primary's listening sockets for clients: a TCP port and, beside it, a UNIX socket for a proxy on the same host.
import { existsSync, lstatSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Logger } from '../observe/logger.ts';
import { addressText } from '../util/address-text.ts';
import { ConfigError, HoldfastError, UnavailableError } from '../util/errors.ts';
import { listenBeside } from '../util/listen-beside.ts';
import { listenError } from '../util/listen-error.ts';
import { descriptorOf } from '../util/native-handle.ts';
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
  /** Before its places in what is said of failures: 'internal '. */
  readonly name?: string;
}

interface Open {
  readonly place: string;
  readonly server: Server;
  /** Of the socket file that is ours to remove. */
  readonly path: string | undefined;
}

export class PublicListener {
  readonly #deps: ListenerDeps;
  readonly #open: Open[] = [];

  constructor(deps: ListenerDeps) {
    this.#deps = deps;
  }

  /** The open sockets by the names of their places, for another process to listen at them as well. */
  get descriptors(): readonly (readonly [place: string, fd: number])[] {
    return this.#open.flatMap(({ place, server }) => {
      const fd = descriptorOf(server);
      return fd === undefined ? [] : [[place, fd] as const];
    });
  }

  /**
   * Resolves to where it listens: `host:port` or `unix:path`. With a descriptor, of another process that listens at the same
   * place, nothing is opened anew and no connection is refused in between.
   */
  async listen(address: ListenAddress, fd?: number): Promise<string> {
    // Half-open as http.Server: a client may end its side after the request.
    const server = createServer({ allowHalfOpen: true }, this.#deps.onConnection);
    try {
      if (fd !== undefined) await listenAt(server, fd);
      else if (address.kind === 'fd') await listenAt(server, address.fd);
      else if (address.kind === 'unix') await listenAtPath(server, address.path);
      else await listenAtPort(server, address.host, address.port);
    } catch (error) {
      throw error instanceof HoldfastError || !(error instanceof Error)
        ? error
        : listenError(error, `${this.#deps.name ?? ''}${placeText(address)}`);
    }
    // Out of descriptors, most likely: those that are open are not concerned, later ones may succeed.
    server.on('error', (error) => this.#deps.logger.error({ err: error }, 'cannot accept a connection'));
    const path = address.kind === 'unix' ? address.path : undefined;
    this.#open.push({ place: placeName(address), server, path });
    if (path !== undefined) return addressText(path);
    // Node does not know the path of a UNIX socket that it did not open.
    const bound = server.address();
    return bound === null ? placeText(address) : addressText(bound);
  }

  /** No more connections. The socket files are removed, unless another process listens there. May be called twice. */
  close(isHandedOver = false): void {
    for (const { server, path } of this.#open) {
      if (server.listening) server.close();
      if (path !== undefined && !isHandedOver) rmSync(path, { force: true });
    }
    this.#open.length = 0;
  }
}

/** What a place is called between two processes that read the same configuration. */
export function placeName(address: ListenAddress): string {
  switch (address.kind) {
    case 'unix':
      return `unix ${address.path}`;
    case 'tcp':
      return `tcp ${address.host ?? ''} ${address.port}`;
    case 'fd':
      return `fd ${address.name} ${address.fd}`;
  }
}

function listenAt(server: Server, fd: number): Promise<void> {
  return listening(server, () => server.listen({ fd }, BACKLOG));
}

function listenAtPort(server: Server, host: string | undefined, port: number): Promise<void> {
  return listening(server, () =>
    server.listen({ port, backlog: BACKLOG, ...(host === undefined ? {} : { host }) }),
  );
}

async function listenAtPath(server: Server, path: string): Promise<void> {
  const directory = dirname(path);
  // The system would say that it is not allowed.
  if (!existsSync(directory)) {
    throw new ConfigError(
      `cannot listen on ${path}: there is no directory ${directory}: make it or choose another path`,
    );
  }
  await removeStaleSocket(path);
  const appear = await listenBeside(server, path, {
    backlog: BACKLOG,
    readableAll: true,
    writableAll: true,
  });
  appear();
}

function listening(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    listen();
  });
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
