// Orders to a worker to give connections to another one, and what it reports of them until it is done or gone.
import type { MoveOrder, MoveReport, ToPrimary } from '../ipc.ts';
import type { MovePeer } from './move-relay.ts';
import type { WorkerObserver } from '../supervisor.ts';

const ENDED = 'the worker has ended';

interface UnderWay {
  readonly number: number;
  readonly from: MovePeer;
  readonly onReport: (report: MoveReport) => void;
  readonly finish: (report: MoveReport) => void;
  last: MoveReport;
}

export class OrderedMoves implements WorkerObserver {
  #underWay: UnderWay | undefined;
  /** A worker that was given up may report of that order during the next one. */
  #lastNumber = 0;

  /** Resolves to the last report. One order at a time. */
  run(
    from: MovePeer,
    to: MovePeer,
    onReport: (report: MoveReport) => void,
    which: Partial<Pick<MoveOrder, 'sid' | 'part'>> = {},
  ): Promise<MoveReport> {
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    const last = { number, moved: 0, left: 0, ended: null, refused: false };
    if (!from.connected) return Promise.resolve({ ...last, ended: ENDED });
    return new Promise((finish) => {
      this.#underWay = { number, from, onReport, finish, last };
      from.post({ type: 'move', number, to: to.pid, sid: '', part: null, ...which });
    });
  }

  /** What is on its way arrives or comes back; nothing else is moved. */
  stop(): void {
    this.#underWay?.from.post({ type: 'move-stop' });
  }

  /** The same, and nobody waits for what the worker says of it. */
  giveUp(reason: string): void {
    this.stop();
    const underWay = this.#underWay;
    if (underWay !== undefined) this.#finish({ ...underWay.last, ended: reason });
  }

  message(process: MovePeer, message: ToPrimary): void {
    const underWay = this.#underWay;
    if (message.type !== 'moves' || underWay?.from !== process || message.number !== underWay.number) return;
    underWay.last = message;
    underWay.onReport(message);
    if (message.ended !== null) this.#finish(message);
  }

  gone(process: MovePeer): void {
    const underWay = this.#underWay;
    if (underWay?.from !== process) return;
    this.#finish({ ...underWay.last, left: 0, ended: ENDED });
  }

  #finish(report: MoveReport): void {
    const underWay = this.#underWay;
    this.#underWay = undefined;
    underWay?.finish(report);
  }
}
