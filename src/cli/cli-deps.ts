// What commands need of the process around them.
import { styleText } from 'node:util';
import type { Clock } from '../util/clock.ts';

export interface Output {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

export interface CliDeps {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly clock: Clock;
  readonly version: string;
  readText(): Promise<string>;
}

type Style = 'red' | 'yellow' | 'green' | 'dim' | 'bold';

/** Colours only for eyes: never into a pipe, never against NO_COLOR. */
export function paint(
  output: Output,
  environment: CliDeps['environment'],
  style: Style,
  text: string,
): string {
  const isColoured = output.isTTY === true && (environment['NO_COLOR'] ?? '') === '';
  return isColoured ? styleText(style, text) : text;
}

export function printJson(deps: CliDeps, value: unknown): void {
  deps.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Something the user should know that is not the answer itself. */
export function note(deps: CliDeps, text: string): void {
  deps.stderr.write(`${text}\n`);
}
