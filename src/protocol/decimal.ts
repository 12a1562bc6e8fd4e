// Decimal numbers of any length, compared without rounding.

export interface Decimal {
  readonly text: string;
  /** The value itself while it has few enough digits to be exact enough for an order; else NaN. */
  readonly fast: number;
}

const DECIMAL = /^[+-]?\d+(?:\.\d+)?$/;
const MAX_CHARS = 200;
/** Decimals of up to 15 digits keep their order as doubles. */
const FAST_CHARS = 15;

/** Undefined when it is no plain decimal number (no exponent, no bare point) or too long for one. */
export function parseDecimal(text: string): Decimal | undefined {
  if (text.length > MAX_CHARS || !DECIMAL.test(text)) return undefined;
  return { text, fast: text.length <= FAST_CHARS ? Number(text) : Number.NaN };
}

/** Negative when a < b, 0 when they are equal, positive when a > b. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  const difference = a.fast - b.fast;
  if (!Number.isNaN(difference)) return difference;
  const places = Math.max(decimalPlaces(a.text), decimalPlaces(b.text));
  const [left, right] = [scaled(a.text, places), scaled(b.text, places)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function decimalPlaces(text: string): number {
  const point = text.indexOf('.');
  return point === -1 ? 0 : text.length - point - 1;
}

/** text x 10^places */
function scaled(text: string, places: number): bigint {
  const digits = text.replace('.', '').replace('+', '');
  return BigInt(digits) * 10n ** BigInt(places - decimalPlaces(text));
}
