// What a handler throws to say no to its client. Recognised by a mark and not by class: the application may have a copy of
// this package of its own.

const MARK = Symbol.for('holdfast.app.verdict');

/** The command is answered with this error; the connection stays. */
export class AppError extends Error {
  readonly [MARK] = 'error';
  /** 400-1999 are yours; 100-399 are the protocol's own (103 is "permission denied"). */
  readonly code: number;
  /** The client may try the same again later. */
  readonly temporary: boolean;

  constructor(
    code: number,
    message: string,
    options: { readonly temporary?: boolean | undefined; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'AppError';
    if (!isErrorCode(code)) throw new RangeError(`AppError: expected a code from 100 to 1999, got ${code}`);
    this.code = code;
    this.temporary = options.temporary ?? false;
  }
}

/** The connection is closed with this code and reason. */
export class Disconnect extends Error {
  readonly [MARK] = 'disconnect';
  /** 4000-4499: the client comes back. 4500-4999: it does not. */
  readonly code: number;
  readonly reason: string;

  constructor(code: number, reason: string) {
    super(reason);
    this.name = 'Disconnect';
    if (!isCloseCode(code))
      throw new RangeError(`Disconnect: expected a code from 3000 to 4999, got ${code}`);
    this.code = code;
    this.reason = reason;
  }
}

/** A method of the gateway failed. No verdict on the client whose command is being handled. */
export class GatewayError extends Error {
  readonly code: number;
  /** The same call may succeed later. */
  readonly temporary: boolean;

  constructor(
    code: number,
    message: string,
    options: { readonly temporary: boolean; readonly cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.name = 'GatewayError';
    this.code = code;
    this.temporary = options.temporary;
  }
}

export type Verdict =
  | { readonly kind: 'error'; readonly code: number; readonly message: string; readonly temporary: boolean }
  | { readonly kind: 'disconnect'; readonly code: number; readonly reason: string };

/** Undefined for any other error: that one is a fault of the application. */
export function verdictOf(thrown: unknown): Verdict | undefined {
  if (typeof thrown !== 'object' || thrown === null || !(MARK in thrown)) return undefined;
  const code = 'code' in thrown ? Number(thrown.code) : NaN;
  if (thrown[MARK] === 'error' && isErrorCode(code)) {
    const message = 'message' in thrown ? String(thrown.message) : '';
    return { kind: 'error', code, message, temporary: 'temporary' in thrown && thrown.temporary === true };
  }
  if (thrown[MARK] === 'disconnect' && isCloseCode(code)) {
    return { kind: 'disconnect', code, reason: 'reason' in thrown ? String(thrown.reason) : '' };
  }
  return undefined;
}

function isErrorCode(code: number): boolean {
  return Number.isInteger(code) && code >= 100 && code <= 1999;
}

function isCloseCode(code: number): boolean {
  return Number.isInteger(code) && code >= 3000 && code <= 4999;
}
