// Durations as Go writes them ("25s", "1m30s", "720h", "1000ms"), as milliseconds.

const UNITS: readonly (readonly [unit: string, sizeMs: number])[] = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
];
const SIZE_MS = new Map(UNITS);

/** The form a duration has in a file; exported because the JSON Schema carries it too. */
export const DURATION_PATTERN = /^(?:0|(?:\d+(?:\.\d+)?(?:ms|s|m|h))+)$/;

/** Whole milliseconds, or undefined when the text is no duration. */
export function parseDuration(text: string): number | undefined {
  if (!DURATION_PATTERN.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ms|s|m|h)/g)) {
    totalMs += Number(amount) * (SIZE_MS.get(unit ?? '') ?? 0);
  }
  return Math.round(totalMs);
}

/** The inverse: largest units first and no zero parts, so that 90,000 becomes "1m30s". */
export function formatDuration(durationMs: number): string {
  let restMs = Math.max(0, Math.round(durationMs));
  let text = '';
  for (const [unit, sizeMs] of UNITS) {
    const amount = Math.floor(restMs / sizeMs);
    restMs -= amount * sizeMs;
    if (amount > 0) text += `${amount}${unit}`;
  }
  return text === '' ? '0s' : text;
}
