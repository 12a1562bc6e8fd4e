// The slots of a host and who has them: a slot changes hands while both processes live.
import type { StartFacts } from './ipc.ts';
import { initialSlotState, type SlotState } from './slot-state.ts';
import type { WorkerProcess } from './worker-process.ts';

export type WorkerFacts = Pick<StartFacts, 'config' | 'engineSocketPath'>;

/** main: it is the slot · successor: it is to become the slot · retired: it was the slot. */
type SlotRole = 'main' | 'successor' | 'retired';

export interface Slot {
  readonly number: number;
  role: SlotRole;
  readonly facts: WorkerFacts;
  /** Of a successor: undefined when it could serve, else why not. */
  onBooted: ((failure: string | undefined) => void) | undefined;
  immovable: string;
  state: SlotState;
  process: WorkerProcess | undefined;
  /** Processes this slot has had. */
  incarnation: number;
  timer: NodeJS.Timeout | undefined;
  /** Why the process that runs says it cannot serve. */
  complaint: string | undefined;
  /** Why the last process ended; forgotten when another is ready. */
  lastFailure: string | undefined;
}

export interface SlotView {
  readonly slot: number;
  readonly state: SlotState;
  readonly process: WorkerProcess | undefined;
  /** Processes this slot has had. */
  readonly incarnation: number;
  readonly lastFailure: string | undefined;
  readonly role: SlotRole;
}

export class Slots {
  readonly #main: Slot[] = [];
  /** Successors and those that were replaced, while they are there. */
  readonly #others = new Set<Slot>();

  main(): readonly Slot[] {
    return this.#main;
  }

  all(): readonly Slot[] {
    return this.#others.size === 0 ? this.#main : [...this.#main, ...this.#others];
  }

  /** The one that is the slot now. */
  numbered(number: number): Slot | undefined {
    return this.#main.find((slot) => slot.number === number);
  }

  of(process: WorkerProcess): Slot | undefined {
    return this.all().find((slot) => slot.process === process);
  }

  views(): readonly SlotView[] {
    return this.all().map(({ number, role, state, process, incarnation, lastFailure }) => {
      return { slot: number, role, state, process, incarnation, lastFailure };
    });
  }

  add(number: number, facts: WorkerFacts): Slot {
    const slot = newSlot(number, 'main', facts, 0);
    this.#main.push(slot);
    return slot;
  }

  /** To take over from whoever is the slot then. */
  addSuccessor(number: number, facts: WorkerFacts): Slot {
    const slot = newSlot(number, 'successor', facts, this.numbered(number)?.incarnation ?? 0);
    this.#others.add(slot);
    return slot;
  }

  /** It is the slot of its number from now on; the one that was is retired, and returned. */
  takeOver(slot: Slot): Slot | undefined {
    const index = this.#main.findIndex(({ number }) => number === slot.number);
    const before = this.#main[index];
    this.#others.delete(slot);
    slot.role = 'main';
    if (before === undefined) {
      this.#main.push(slot);
      return undefined;
    }
    this.#main[index] = slot;
    before.role = 'retired';
    if (before.process !== undefined) this.#others.add(before);
    return before;
  }

  /** One that is not the slot has ended. */
  remove(slot: Slot): void {
    this.#others.delete(slot);
  }
}

function newSlot(number: number, role: SlotRole, facts: WorkerFacts, incarnation: number): Slot {
  return {
    number,
    role,
    facts,
    onBooted: undefined,
    immovable: '',
    state: initialSlotState,
    process: undefined,
    incarnation,
    timer: undefined,
    complaint: undefined,
    lastFailure: undefined,
  };
}
