// The kinds of options: each has a default in the form a file would give it, and a sentence for the reference page.
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { z } from 'zod';
import { DURATION_PATTERN, formatDuration, parseDuration } from './duration.ts';

const DURATION_HINT = 'expected a duration such as "25s", "1m30s" or "720h"';

export const flag = (about: string, initial = false) =>
  z.boolean().prefault(initial).meta({ description: about });

export const text = (about: string, initial = '') =>
  z.string().prefault(initial).meta({ description: about });

/** A text that may never be shown: `writeOnly` is JSON Schema's word for it. */
export const secret = (about: string) =>
  z.string().prefault('').meta({ description: about, writeOnly: true });

export const integer = (about: string, initial: number, min = 0, max = Number.MAX_SAFE_INTEGER) =>
  z.int().min(min).max(max).prefault(initial).meta({ description: about });

export const choice = <const T extends readonly [string, ...string[]]>(
  about: string,
  values: T,
  initial: NoInfer<T[number]>,
) =>
  z
    .enum(values)
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- zod's input type of a generic enum is not resolved
    .prefault(initial as never)
    .meta({ description: about });

export const texts = (about: string) => z.array(z.string()).prefault([]).meta({ description: about });

/** One text, perhaps with commas, or a list of them; a list in the parsed configuration. */
export const textList = (
  about: string,
  initial: readonly string[],
  isValid: (item: string) => boolean = (item) => item !== '',
  hint = 'expected a text',
) =>
  z
    .union([z.string(), z.array(z.string())], { error: 'expected a text or a list of texts' })
    .transform((written, context) => {
      const items = typeof written === 'string' ? written.split(/[\s,]+/) : written;
      const given = items.filter((item) => item !== '');
      for (const [index, item] of given.entries()) {
        // Says nothing of the value itself: it may hold a password.
        if (!isValid(item)) {
          context.addIssue({ code: 'custom', path: Array.isArray(written) ? [index] : [], message: hint });
        }
      }
      return given;
    })
    .prefault([...initial])
    .meta({ description: about });

/** Milliseconds in the parsed configuration. */
export const duration = (about: string, initial: string, minMs = 0, maxMs = Number.MAX_SAFE_INTEGER) =>
  z
    .string({ error: DURATION_HINT })
    .regex(DURATION_PATTERN, { error: DURATION_HINT })
    .transform((written, context) => {
      const durationMs = parseDuration(written) ?? 0;
      if (durationMs < minMs || durationMs > maxMs) {
        const limit =
          durationMs < minMs ? `at least ${formatDuration(minMs)}` : `at most ${formatDuration(maxMs)}`;
        context.addIssue({ code: 'custom', message: `expected ${limit}` });
      }
      return durationMs;
    })
    .prefault(initial)
    .meta({ description: about });

/** A regular expression, kept as text because the configuration travels between processes. */
export const pattern = (about: string) =>
  z
    .string()
    .refine(isRegExp, { error: 'expected a regular expression (JavaScript syntax)' })
    .prefault('')
    .meta({ description: about });

/** Where an HTTP handler is mounted. */
export const urlPath = (about: string, initial: string) =>
  z
    .string()
    .regex(/^\/[^\s?#:*%]*[^\s?#:*%/]$/, {
      error: 'expected a path such as "/api", without a slash at the end or any of ?#:*%',
    })
    .prefault(initial)
    .meta({ description: about });

/** http(s) address, or empty. */
export const httpUrl = (about: string) =>
  z
    .string()
    .regex(/^(?:https?:\/\/\S+)?$/, { error: 'expected an address that begins with http:// or https://' })
    .prefault('')
    .meta({ description: about });

/** HTTP headers by name. Their values may be secrets. */
export const headers = (about: string) =>
  z
    .record(z.string(), z.string())
    .superRefine((record, context) => {
      for (const [name, value] of Object.entries(record)) {
        const fault = headerFault(name, value);
        if (fault !== undefined) context.addIssue({ code: 'custom', path: [name], message: fault });
      }
    })
    .prefault({})
    .meta({ description: about, writeOnly: true });

/** A group of options: may be left out as a whole, and refuses keys that it does not know. */
export const section = <T extends z.core.$ZodLooseShape>(about: string, shape: T) =>
  z
    .strictObject(shape)
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every option inside has a default of its own
    .prefault({} as never)
    .meta({ description: about });

/** Says nothing of the value itself. */
function headerFault(name: string, value: string): string | undefined {
  try {
    validateHeaderName(name);
  } catch {
    return 'expected the name of an HTTP header';
  }
  try {
    validateHeaderValue(name, value);
    return undefined;
  } catch {
    return 'expected a value that an HTTP header can have: no line breaks, Latin letters only';
  }
}

function isRegExp(source: string): boolean {
  try {
    return new RegExp(source) instanceof RegExp;
  } catch {
    return false;
  }
}
