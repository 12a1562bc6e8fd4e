// Text in columns, and numbers as people read them.

export type Align = 'left' | 'right';

export interface Column {
  readonly title: string;
  readonly align: Align;
}

/** One line a row, the titles first; columns are as wide as their widest cell. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const all = [columns.map(({ title }) => title), ...rows];
  const widths = columns.map((_, index) => Math.max(...all.map((row) => row[index]?.length ?? 0)));
  return all.map((row) =>
    columns
      .map(({ align }, index) => {
        const [cell = '', width = 0] = [row[index], widths[index]];
        return align === 'right' ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Three digits at most, in powers of 1,000. */
export function bytesText(bytes: number): string {
  let [amount, unit] = [bytes, 0];
  while (amount >= 999.5 && unit < UNITS.length - 1) [amount, unit] = [amount / 1_000, unit + 1];
  const isRound = unit === 0 || amount >= 99.95;
  return `${amount.toFixed(isRound ? 0 : 1)} ${UNITS[unit] ?? ''}`;
}

const PARTS = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
] as const;

/** The two largest parts: "3d 4h", "12m 5s", "0s". */
export function ageText(ageMs: number): string {
  let rest = Math.max(0, Math.floor(ageMs / 1_000));
  const parts: string[] = [];
  for (const [unit, seconds] of PARTS) {
    const amount = Math.floor(rest / seconds);
    rest -= amount * seconds;
    if (amount > 0 || parts.length > 0) parts.push(`${amount}${unit}`);
  }
  return parts.slice(0, 2).join(' ') || '0s';
}
