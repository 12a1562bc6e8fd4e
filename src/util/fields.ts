// Data from outside, before anybody has looked at what it holds.

export type Fields = Readonly<Record<string, unknown>>;

/** An object with named members: neither null nor a list. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
