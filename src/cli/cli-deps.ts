// What commands need of the process around them.
import type { Predecessor } from '../cluster/moves/predecessor.ts';
import type { Config } from '../config/schema.ts';
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
  /** The built program, for commands that start another one. */
  readonly program: string;
  /** All of standard input. */
  readText(): Promise<string>;
  /** Asks the person at the terminal; empty when they do not want to answer. Undefined when there is nobody. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /** Becomes the primary; resolves when the gateway has ended. `reread` gives the configuration as it is written now. */
  serve(config: Config, reread: () => Promise<Config>, predecessor?: Predecessor): Promise<void>;
  /** The primary that has started this process to be replaced by it. */
  meetPredecessor?(): Promise<Predecessor>;
}

/** SGR parameters: switch on, switch off. */
const STYLES = { red: [31, 39], yellow: [33, 39], green: [32, 39], dim: [2, 22], bold: [1, 22] } as const;

/** Colours only for eyes: never into a pipe, never against NO_COLOR. */
export function paint(
  output: Output,
  environment: CliDeps['environment'],
  style: keyof typeof STYLES,
  text: string,
): string {
  const isColoured = output.isTTY === true && (environment['NO_COLOR'] ?? '') === '';
  const [on, off] = STYLES[style];
  return isColoured ? `\u001b[${on}m${text}\u001b[${off}m` : text;
}

export function printJson(deps: CliDeps, value: unknown): void {
  deps.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Something the user should know that is not the answer itself. */
export function note(deps: Pick<CliDeps, 'stderr'>, text: string): void {
  deps.stderr.write(`${text}\n`);
}
