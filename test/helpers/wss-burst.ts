// Upgrades through TLS, many at once: what each was answered with, and whether it is still open.
import { connect, type TLSSocket } from 'node:tls';
import { handshake } from './raw-socket.ts';
import type { Scope } from './scope.ts';

export interface WssTarget {
  readonly port: number;
  /** To be trusted. */
  readonly certificate: string;
}

export class WssSocket {
  readonly socket: TLSSocket;
  /** Status of the response; 'closed' when the connection ended without one. */
  readonly outcome: Promise<number | 'closed'>;
  /** Response head, when it has come. */
  head = '';
  ended = false;

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    this.outcome = new Promise((resolve) => {
      let received = '';
      socket.setEncoding('latin1').on('data', (text: string) => {
        if (this.head !== '') return;
        received += text;
        const end = received.indexOf('\r\n\r\n');
        if (end === -1) return;
        this.head = received.slice(0, end);
        resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(this.head)?.[1]));
      });
      socket.on('close', () => {
        this.ended = true;
        resolve('closed');
      });
    });
    // A reset is one of the ends that tests expect.
    socket.on('error', () => undefined);
  }

  /** Opens it and asks for the upgrade at once. */
  static open(scope: Scope, { port, certificate }: WssTarget): WssSocket {
    const socket = connect({ host: 'localhost', port, ca: certificate, ALPNProtocols: ['http/1.1'] });
    scope.teardown(() => socket.destroy());
    const opened = new WssSocket(socket);
    socket.once('secureConnect', () => socket.write(handshake()));
    return opened;
  }

  /** So many at the same time; resolves when all have been answered. */
  static async burst(scope: Scope, target: WssTarget, count: number): Promise<WssSocket[]> {
    const sockets = Array.from({ length: count }, () => WssSocket.open(scope, target));
    await Promise.all(sockets.map(({ outcome }) => outcome));
    return sockets;
  }
}

/** How many got which answer: `{ '101': 400 }` when nobody was refused. */
export function countOutcomes(outcomes: readonly (number | 'closed')[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

/** Opens connections without a break, some at a time, each of which stays for a while. */
export class WssLoad {
  readonly outcomes: (number | 'closed')[] = [];
  readonly #loops: Promise<void>[];
  readonly #open: WssSocket[] = [];
  #isOver = false;

  constructor(scope: Scope, target: WssTarget, { parallel, kept }: { parallel: number; kept: number }) {
    this.#loops = Array.from({ length: parallel }, async () => {
      while (!this.#isOver) {
        const opened = WssSocket.open(scope, target);
        this.outcomes.push(await opened.outcome);
        this.#open.push(opened);
        if (this.#open.length > kept) this.#open.shift()?.socket.destroy();
      }
    });
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
  }
}
