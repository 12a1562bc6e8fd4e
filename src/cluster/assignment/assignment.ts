// One connection on its way to a worker.
import type { Socket } from 'node:net';
import { freeze } from '../../util/native-handle.ts';
import type { ToWorker } from '../ipc.ts';
import type { Parcel } from '../worker-process.ts';
import type { AssignmentKind, WorkerLedger } from './worker-ledger.ts';

export interface AssignmentListener {
  /** The worker has it. */
  settled(): void;
  /** The worker handed it back. */
  returned(assignment: Assignment): void;
}

export class Assignment implements Parcel {
  readonly socket: Socket;
  readonly kind: AssignmentKind;
  readonly sid: string | undefined;
  readonly message: ToWorker;
  attempts = 0;
  /** When held: the time to give up. */
  deadlineMs = 0;
  readonly #listener: AssignmentListener;
  #ledger: WorkerLedger | undefined;

  /** `bytes`: everything read from it. */
  constructor(
    socket: Socket,
    { kind, sid, bytes }: Pick<Assignment, 'kind' | 'sid'> & { readonly bytes: Buffer },
    listener: AssignmentListener,
  ) {
    this.socket = socket;
    this.kind = kind;
    this.sid = sid;
    const door = kind === 'internal' ? 'internal' : 'public';
    this.message = { type: 'assign', head: bytes, door, isClient: kind === 'client' };
    this.#listener = listener;
  }

  sendTo(ledger: WorkerLedger): void {
    this.attempts += 1;
    this.#ledger = ledger;
    ledger.add(this.kind);
    ledger.process.deliver(this);
  }

  /** It is nobody's again. Returns whose it was. */
  takeBack(): WorkerLedger | undefined {
    const ledger = this.#ledger;
    this.#ledger = undefined;
    ledger?.takeBack(this.kind);
    return ledger;
  }

  handle(): ReturnType<typeof freeze> {
    return freeze(this.socket);
  }

  delivered(): void {
    // Only this process's copy of the descriptor: the connection lives on in the worker.
    this.socket.destroy();
    this.#listener.settled();
  }

  refused(): void {
    this.#listener.returned(this);
  }
}

export function isAssignment(parcel: Parcel): parcel is Assignment {
  return parcel instanceof Assignment;
}
