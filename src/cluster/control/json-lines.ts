// Newline-delimited JSON over a stream, with a limit on what an unfinished line may hold.

export class JsonLines {
  readonly #maxLineBytes: number;
  #rest = '';

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** The values of all lines that `text` completes. Throws on what is no JSON, or too long. */
  take(text: string): unknown[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > this.#maxLineBytes) throw new RangeError('line too long');
    return lines.filter((line) => line.trim() !== '').map((line): unknown => JSON.parse(line));
  }
}

export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
