// Where the benchmark is: one line rewritten on a terminal, a line now and then elsewhere.

const QUIET_MS = 10_000;

export class Progress {
  readonly #terminal = process.stderr.isTTY;
  readonly #startMs = performance.now();
  #lastMs = 0;
  #shown = false;

  /** What is being done at this moment. */
  now(text: string): void {
    const nowMs = performance.now();
    const seconds = String(Math.round((nowMs - this.#startMs) / 1000)).padStart(4);
    if (this.#terminal) {
      const columns = process.stderr.columns - 1;
      process.stderr.write(`\r\x1b[K${`${seconds} s  ${text}`.slice(0, columns)}`);
      this.#shown = true;
    } else if (nowMs - this.#lastMs > QUIET_MS) {
      process.stderr.write(`${seconds} s  ${text}\n`);
      this.#lastMs = nowMs;
    }
  }

  /** A line that stays. */
  line(text: string): void {
    if (this.#shown) process.stderr.write('\r\x1b[K');
    this.#shown = false;
    this.#lastMs = performance.now();
    process.stdout.write(`${text}\n`);
  }
}
