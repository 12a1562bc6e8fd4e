// How far a change of the workers has come, told to whoever asked for it: what it does now, and how fast connections move.

export interface MoveFigures {
  readonly moved: number;
  /** Connections still to be moved. */
  readonly left: number;
  /** Moves a second, lately; 0 while nothing is known. */
  readonly perSecond: number;
  /** Until the last connection is moved; null while nothing is known. */
  readonly leftMs: number | null;
}

/** `moved` connections took `movingMs`. */
export function moveFigures(moved: number, left: number, movingMs: number): MoveFigures {
  const seconds = movingMs / 1000;
  const perSecond = seconds > 0 ? moved / seconds : 0;
  const leftMs = perSecond > 0 ? Math.round((left / perSecond) * 1000) : null;
  return { moved, left, perSecond: Math.round(perSecond), leftMs };
}

/** Of one change, from its beginning to its end. */
export class Progress<Report extends MoveFigures> {
  readonly #onReport: (report: Report) => void;
  #report: Report;

  constructor(begin: Report, onReport: (report: Report) => void) {
    this.#report = begin;
    this.#onReport = onReport;
  }

  get report(): Report {
    return this.#report;
  }

  tell(change: Partial<Report>): Report {
    return this.#tell({ ...this.#report, ...change });
  }

  tellMoves(moved: number, left: number, movingMs: number): void {
    this.#tell({ ...this.#report, ...moveFigures(moved, left, movingMs) });
  }

  #tell(report: Report): Report {
    this.#report = report;
    this.#onReport(report);
    return report;
  }
}
