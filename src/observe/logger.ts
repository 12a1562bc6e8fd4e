// The program's one logger: secrets cut out by path; JSON lines, or on a terminal coloured text.
import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import { redactUrl } from './redact-url.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** Messages are constants in lower case; facts are fields: `logger.info({ channel }, 'channel occupied')`. */
export type Logger = PinoLogger;

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly role: 'primary' | 'worker' | 'cli';
  /** Worker slot; left out in the primary. */
  readonly slot?: number | undefined;
  /** Where lines go: by default as they are to stdout. */
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
    options.destination ?? jsonLines(),
  );
}

/** stdout as it suits its reader. */
export async function standardOutput(): Promise<DestinationStream> {
  if (!process.stdout.isTTY) return jsonLines();
  const { default: pinoPretty } = await import('pino-pretty');
  return pinoPretty({
    colorize: true,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname',
    singleLine: true,
    sync: true,
  });
}

function jsonLines(): DestinationStream {
  return pino.destination({ dest: 1, sync: false, maxLength: MAX_UNWRITTEN_BYTES });
}

function secretPaths(): string[] {
  return PARENTS.flatMap((parent) => SECRET_FIELDS.map((field) => `${parent}["${field}"]`));
}
