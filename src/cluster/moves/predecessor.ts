// The primary that this one is to replace, as this one sees it: the parent, which gives everything over when it is asked for
// nothing more than that.
import type { Socket } from 'node:net';
import { UnavailableError } from '../../util/errors.ts';
import type { DoorKind, MoveReport } from '../ipc.ts';
import type { ChannelEnd } from './parcel-channel.ts';
import { PrimaryLink, type RemoteWorker } from './primary-link.ts';
import { isSuccessionFacts, SUCCESSION_VERSION, type SuccessionFacts } from './primary-messages.ts';

/** How the workers of a primary end that is not wanted. */
export interface SuccessionLeave {
  readonly overMs: number;
  readonly killAfterMs: number;
}

/** What the predecessor orders. Whatever a method throws is refused with that reason. */
export interface SuccessionOrders {
  /** Open the doors. */
  serve(): Promise<void>;
  /** Close them again, and give back who comes. */
  retire(): Promise<void>;
  /** What is left is closed over so long, and workers that do not end are killed; then this process ends. */
  leave(how: SuccessionLeave): void;
  /** Of the embedded engine's state; `engine` follows the last one. */
  piece(bytes: Uint8Array): void;
  /** The state is whole: links of these nodes are expected. Resolves to the file that is given the name of the engine's socket. */
  engine(nodes: readonly string[]): Promise<string>;
  /** The predecessor is about to end: this process is the gateway. */
  adopt(): Promise<void>;
  /** The predecessor has waited too long for that: true when it remains the gateway, false when this process is. */
  keep(): boolean;
  connection(socket: Socket, door: DoorKind): void;
  report(worker: RemoteWorker, report: MoveReport): void;
  workerGone(worker: RemoteWorker): void;
  /** The predecessor has ended, as it should or not. */
  ended(): void;
}

const ANSWER_MS = 20_000;

export class Predecessor {
  readonly link: PrimaryLink;
  readonly #end: ChannelEnd;
  #orders: SuccessionOrders | undefined;
  #hasEnded = false;
  #facts: SuccessionFacts | undefined;

  private constructor(end: ChannelEnd) {
    this.#end = end;
    this.link = new PrimaryLink({
      end,
      onAsked: (method, params) => this.#onAsked(method, params),
      onWorker: () => undefined,
      onReport: (worker, report) => this.#orders?.report(worker, report),
      onRemoteGone: (worker) => this.#orders?.workerGone(worker),
      onConnection: (socket, door) => {
        if (this.#orders === undefined) socket.destroy();
        else this.#orders.connection(socket, door);
      },
      onPiece: (bytes) => this.#orders?.piece(bytes),
      onEnd: () => {
        this.#hasEnded = true;
        this.#orders?.ended();
      },
    });
  }

  /** Says hello. Rejects with UnavailableError when there is nobody, or the two do not understand each other. */
  static async meet(end: ChannelEnd): Promise<Predecessor> {
    const predecessor = new Predecessor(end);
    const facts = await predecessor.link.ask('hello', SUCCESSION_VERSION, ANSWER_MS);
    if (!isSuccessionFacts(facts) || facts.version !== SUCCESSION_VERSION) {
      throw new UnavailableError(
        'the primary to be replaced gives over by another procedure: restart instead',
      );
    }
    predecessor.#facts = facts;
    return predecessor;
  }

  get facts(): SuccessionFacts {
    if (this.#facts === undefined) throw new UnavailableError('the primary to be replaced has said nothing');
    return this.#facts;
  }

  /** From now on it gives orders. */
  obey(orders: SuccessionOrders): void {
    this.#orders = orders;
    if (this.#hasEnded) orders.ended();
  }

  async ready(): Promise<void> {
    await this.link.ask('ready', null, ANSWER_MS);
  }

  /** This process cannot replace it, and ends. */
  async fail(reason: string): Promise<void> {
    await this.link.ask('failed', reason, ANSWER_MS).catch(() => undefined);
    this.link.close();
    // An open channel would keep this process.
    if (this.#end.connected) this.#end.disconnect?.();
  }

  async #onAsked(method: string, params: unknown): Promise<unknown> {
    if (method === 'ping') return null;
    const orders = this.#orders;
    if (orders === undefined) throw new UnavailableError('the new primary is not that far');
    switch (method) {
      case 'serve':
        return orders.serve();
      case 'retire':
        return orders.retire();
      case 'leave':
        orders.leave(isLeave(params) ? params : { overMs: 0, killAfterMs: 0 });
        return null;
      case 'engine':
        return orders.engine(Array.isArray(params) ? params.map(String) : []);
      case 'adopt':
        return orders.adopt();
      case 'keep':
        return orders.keep();
      default:
        throw new UnavailableError(`the new primary knows no '${method}'`);
    }
  }
}

function isLeave(value: unknown): value is SuccessionLeave {
  return (
    typeof value === 'object' &&
    value !== null &&
    'overMs' in value &&
    'killAfterMs' in value &&
    typeof value.overMs === 'number' &&
    typeof value.killAfterMs === 'number'
  );
}
