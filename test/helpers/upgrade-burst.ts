// Many upgrades at once, watched by events alone: a thousand that poll would measure the polling.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { handshake } from './raw-socket.ts';
import type { Scope } from './scope.ts';

export class BurstSocket {
  readonly socket: Socket;
  /** Status of the response; 'closed' when the connection ended without one. */
  readonly outcome: Promise<number | 'closed'>;
  ended = false;
  received = '';

  private constructor(socket: Socket) {
    this.socket = socket;
    this.outcome = new Promise((resolve) => {
      socket.setEncoding('latin1').on('data', (text: string) => {
        this.received += text;
        const head = /^HTTP\/1\.1 (\d{3}) [^]*?\r\n\r\n/.exec(this.received);
        if (head !== null) resolve(Number(head[1]));
      });
      socket.on('close', () => {
        this.ended = true;
        resolve('closed');
      });
    });
    // A reset is one of the ends that tests expect.
    socket.on('error', () => undefined);
  }

  static async open(scope: Scope, port: number, count: number): Promise<BurstSocket[]> {
    const sockets = Array.from({ length: count }, () => connect(port, '127.0.0.1'));
    scope.teardown(() => {
      for (const socket of sockets) socket.destroy();
    });
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    return sockets.map((socket) => new BurstSocket(socket));
  }

  upgrade(): void {
    this.socket.write(handshake());
  }
}
