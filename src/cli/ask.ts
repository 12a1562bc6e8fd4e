// One question to the person at the terminal.
import { createInterface } from 'node:readline';

/** Resolves to the answer; to an empty one on Ctrl-C or the end of the input. */
export function askAtTerminal(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  return new Promise<string>((resolve) => {
    lines.question(question, resolve);
    lines.once('SIGINT', () => resolve(''));
    lines.once('close', () => resolve(''));
  }).finally(() => lines.close());
}
