// Error classes with a stable `code`, for whoever has to decide by kind, and what is read from a thrown value.
export class HoldfastError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The configuration, a file or a flag is wrong: the message names what, where and what to do. Exit 78 (EX_CONFIG). */
export class ConfigError extends HoldfastError {
  static readonly exitCode = 78;
  constructor(message: string, options?: ErrorOptions) {
    super('HOLDFAST_CONFIG', message, options);
  }
}

/** Something needed is away; the same call may succeed later. */
export class UnavailableError extends HoldfastError {
  constructor(message: string, options?: ErrorOptions) {
    super('HOLDFAST_UNAVAILABLE', message, options);
  }
}

/** What a log line or a message says of something that was thrown, which need not be an Error. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Of an error of the system, such as 'ENOENT'. */
export function hasCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code;
}
