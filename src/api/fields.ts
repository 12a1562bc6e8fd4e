// Fields of API requests. `null` and a missing member mean the zero value, as existing back-end libraries expect.
import { z } from 'zod';

export const channel = z.string().min(1, 'must not be empty').meta({ description: 'Channel name.' });

export function text(description: string) {
  return z
    .string()
    .nullish()
    .transform((value) => value ?? '')
    .meta({ description });
}

export function flag(description: string) {
  return z
    .boolean()
    .nullish()
    .transform((value) => value ?? false)
    .meta({ description });
}

/** Not negative; 0 when absent. */
export function count(description: string) {
  return z
    .int()
    .nonnegative()
    .nullish()
    .transform((value) => value ?? 0)
    .meta({ description });
}

/** Any JSON, passed on exactly as it was written. */
export function rawJson(description: string) {
  return z.unknown().optional().meta({ description });
}

export function optional<S extends z.ZodType>(schema: S, description: string) {
  return schema
    .nullish()
    .transform((value) => value ?? undefined)
    .meta({ description });
}

export const tags = optional(
  z.record(z.string(), z.string()),
  'Delivered to subscribers beside the data, used by tag filters.',
);

export const streamPosition = z.object({
  offset: count('Offset of the last publication seen.'),
  epoch: text('Epoch of the stream; empty matches any.'),
});
