// A TCP relay in front of a server, whose connections a test can cut.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { portOf } from './port-of.ts';
import type { Scope } from './scope.ts';

export class Relay {
  readonly port: number;
  readonly #sockets: Set<Socket>;
  /** New connections are ended at once. */
  refuses = false;

  private constructor(port: number, sockets: Set<Socket>) {
    this.port = port;
    this.#sockets = sockets;
  }

  static async start(scope: Scope, to: number): Promise<Relay> {
    const sockets = new Set<Socket>();
    const keep = (socket: Socket): void => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => socket.destroy());
    };
    const server = createServer({ allowHalfOpen: true }, (near) => {
      keep(near);
      if (relay.refuses) {
        near.destroy();
        return;
      }
      const far = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true });
      keep(far);
      near.pipe(far).pipe(near);
      near.on('close', () => far.destroy());
      far.on('close', () => near.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const relay = new Relay(portOf(server), sockets);
    scope.teardown(() => {
      server.close();
      relay.cut();
    });
    return relay;
  }

  /** Every connection dies, without a word of its protocol. No resets: after some, Node 20 spins for ever at its exit. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
