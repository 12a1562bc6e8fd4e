// How a command shows work that a gateway does: one line that is rewritten on a terminal, a line for every step elsewhere,
// and with --json every report as one JSON object a line.
import { type CliDeps, note } from './cli-deps.ts';

const REWRITE_LINE = '\r\u001b[K';

export interface ProgressFormat<Report> {
  /** The gateway may be of another version than this command: what is not known is not shown. */
  readonly isReport: (value: unknown) => value is Report;
  readonly text: (report: Report) => string;
  /** Where no line can be rewritten, one is printed whenever this differs; by default the text itself. */
  readonly step?: (report: Report) => string;
}

export class ProgressDisplay<Report> {
  readonly #deps: Pick<CliDeps, 'stdout' | 'stderr'>;
  readonly #format: ProgressFormat<Report>;
  readonly #json: boolean;
  #shown = '';
  #step = '';

  constructor(
    deps: Pick<CliDeps, 'stdout' | 'stderr'>,
    format: ProgressFormat<Report>,
    flags: { readonly json?: true },
  ) {
    this.#deps = deps;
    this.#format = format;
    this.#json = flags.json === true;
  }

  show(value: unknown): void {
    if (!this.#format.isReport(value)) return;
    if (this.#json) {
      this.#deps.stdout.write(`${JSON.stringify(value)}\n`);
      return;
    }
    const text = this.#format.text(value);
    if (text === this.#shown) return;
    this.#shown = text;
    const step = this.#format.step?.(value) ?? text;
    if (this.#deps.stderr.isTTY === true) this.#deps.stderr.write(`${REWRITE_LINE}${text}`);
    else if (step !== this.#step) note(this.#deps, text);
    this.#step = step;
  }

  /** Takes the line off the terminal. May be called twice. */
  clear(): void {
    if (!this.#json && this.#deps.stderr.isTTY === true && this.#shown !== '') {
      this.#deps.stderr.write(REWRITE_LINE);
    }
    this.#shown = '';
  }

  /** The end: `text` for people; with --json `result`, when there is one that no report has said. */
  finish(text: string, result?: unknown): void {
    this.clear();
    if (!this.#json) this.#deps.stdout.write(`${text}\n`);
    else if (result !== undefined) this.#deps.stdout.write(`${JSON.stringify(result)}\n`);
  }
}
