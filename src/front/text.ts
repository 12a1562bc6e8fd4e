// Layout of the generated file.

export function comment(...lines: readonly string[]): string {
  return lines.map((line) => `# ${line}`).join('\n');
}

/** Empty lines stay empty. */
export function section(head: string, lines: readonly string[]): string {
  return [head, ...lines.map((line) => (line === '' ? '' : `    ${line}`))].join('\n');
}

/** Parts that are empty are left out. */
export function join(parts: readonly string[]): string {
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

/** As HAProxy reads it back; variables of the environment are only replaced between double quotes. */
export function quoted(text: string): string {
  return /^[\w./:@,*+-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
}
