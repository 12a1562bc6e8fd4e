// The primary's answer to HAProxy's agent check: every connection to this port gets one line and its end.
import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from '../../observe/logger.ts';
import { addressText } from '../../util/address-text.ts';
import { listenError } from '../../util/listen-error.ts';
import { descriptorOf } from '../../util/native-handle.ts';

/** Questions at a time: every HAProxy asks once a second and hangs up. */
const MAX_OPEN = 256;
/** For those who connect and then do not read. */
const PATIENCE_MS = 2000;

interface AgentCheckDeps {
  readonly logger: Logger;
  readonly answer: () => string;
}

export class AgentCheck {
  readonly #deps: AgentCheckDeps;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(deps: AgentCheckDeps) {
    this.#deps = deps;
    this.#server = createServer(this.#onConnection);
    this.#server.maxConnections = MAX_OPEN;
  }

  get descriptor(): number | undefined {
    return descriptorOf(this.#server);
  }

  /** An empty host means all addresses; a descriptor is of a socket that listens there already. Resolves to where it listens. */
  async listen(host: string, port: number, fd?: number): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => reject(listenError(error, `agent check port ${port}`)));
      const at = { port, ...(host === '' ? {} : { host }) };
      this.#server.listen(fd === undefined ? at : { fd }, resolve);
    });
    this.#server.removeAllListeners('error');
    this.#server.on('error', (error) => this.#deps.logger.warn({ err: error }, 'agent check: cannot accept'));
    return addressText(this.#server.address());
  }

  /** May be called twice. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  readonly #onConnection = (socket: Socket): void => {
    this.#sockets.add(socket);
    // Whoever asked may be gone: nothing is lost.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.resume();
    socket.end(this.#deps.answer());
  };
}
