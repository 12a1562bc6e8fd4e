// The program's one logger: JSON lines on stdout, coloured text on a terminal, secrets cut out by path.
import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import pinoPretty from 'pino-pretty';
import { redactUrl } from './redact-url.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** Messages are constants in lower case; facts are fields: `logger.info({ channel }, 'channel occupied')`. */
export type Logger = PinoLogger;

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly role: 'primary' | 'worker' | 'cli';
  /** Worker slot; left out in the primary. */
  readonly slot?: number | undefined;
  /** Default: whether stdout is a terminal. */
  readonly pretty?: boolean | undefined;
  /** Where lines go instead of stdout. */
  readonly destination?: DestinationStream | undefined;
}

/** Field names whose values never reach a log, at the top of a line and down to three levels. */
export const SECRET_FIELDS = [
  'token',
  'tokens',
  'key',
  'keys',
  'api_key',
  'apiKey',
  'session',
  'cookie',
  'cookies',
  'password',
  'secret',
  'authorization',
  'Authorization',
  'set-cookie',
  'x-api-key',
  'X-API-Key',
] as const;

const PARENTS = ['', '*', '*.*'];

/** A stalled reader of stdout must not stall the event loop: beyond this, lines are dropped. */
const MAX_UNWRITTEN_BYTES = 4 * 1024 * 1024;

export function createLogger(options: LoggerOptions): Logger {
  return pino(
    {
      level: options.level,
      base: options.slot === undefined ? { role: options.role } : { role: options.role, node: options.slot },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.err, url: redactUrl },
      redact: { paths: secretPaths(), censor: '[redacted]' },
    },
    options.destination ?? stdout(options.pretty ?? process.stdout.isTTY),
  );
}

function stdout(pretty: boolean): DestinationStream {
  if (!pretty) return pino.destination({ dest: 1, sync: false, maxLength: MAX_UNWRITTEN_BYTES });
  return pinoPretty({
    colorize: process.stdout.isTTY,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname',
    singleLine: true,
    sync: true,
  });
}

function secretPaths(): string[] {
  return PARENTS.flatMap((parent) => SECRET_FIELDS.map((field) => `${parent}["${field}"]`));
}
