// How commands end: exit codes that scripts can rely on (those of sysexits.h where it has one).
import { HoldfastError } from '../util/errors.ts';

export const ExitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  /** What was examined has faults that will hurt some day, or soon. */
  warnings: 3,
  critical: 4,
  /** A deployment failed and was undone; clients are where they were. */
  rolledBack: 5,
  /** A deployment stands where only a person can help it on. */
  stuck: 6,
  /** EX_UNAVAILABLE: no gateway answers. */
  unavailable: 69,
  /** EX_TEMPFAIL: interrupted; the same command goes on. */
  interrupted: 75,
  /** EX_CONFIG */
  config: 78,
} as const;

export type ExitCode = (typeof ExitCodes)[keyof typeof ExitCodes];

/** Ends a command with a message for people and a code for scripts. */
export class CliError extends HoldfastError {
  readonly exitCode: ExitCode;
  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super('HOLDFAST_CLI', message, options);
    this.exitCode = exitCode;
  }
}
