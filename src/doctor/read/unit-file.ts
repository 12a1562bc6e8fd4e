// Reads a systemd unit with its drop-ins: the settings, and the kinds of values in them.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface UnitFile {
  readonly name: string;
  /** Where a line would be added. */
  readonly file: string;
  /** `Section.Key` to its values, in order. An empty assignment empties the list, as systemd does. */
  readonly settings: ReadonlyMap<string, readonly string[]>;
}

const DIRECTORIES = [
  'etc/systemd/system',
  'run/systemd/system',
  'usr/lib/systemd/system',
  'lib/systemd/system',
];

/** A unit by its name; throws when it is nowhere under `root`. */
export function readUnit(name: string, root = '/'): UnitFile {
  const wanted = name.includes('.') ? name : `${name}.service`;
  // An instance of a template is described by the template.
  const candidates = [wanted, wanted.replace(/@[^.]+\./, '@.')];
  for (const candidate of candidates) {
    for (const directory of DIRECTORIES) {
      const file = join(root, directory, candidate);
      const text = textOf(file);
      if (text === undefined) continue;
      const dropIns = DIRECTORIES.flatMap((each) => dropInTexts(join(root, each, `${candidate}.d`)));
      return parseUnit([text, ...dropIns], file);
    }
  }
  throw new Error(`no unit ${wanted} is installed here (--unit FILE)`);
}

/** A unit by the path of its file; throws when it cannot be read. */
export function readUnitFile(file: string): UnitFile {
  const text = textOf(file);
  if (text === undefined) throw new Error(`${file} cannot be read`);
  return parseUnit([text, ...dropInTexts(`${file}.d`)], file);
}

export function parseUnit(texts: readonly string[], file: string): UnitFile {
  const settings = new Map<string, string[]>();
  for (const text of texts) {
    let section = '';
    for (const line of text.replaceAll(/\\\r?\n/g, ' ').split('\n')) {
      const header = /^\s*\[([^\]]+)\]\s*$/.exec(line);
      if (header !== null) section = header[1] ?? '';
      const setting = /^\s*([A-Za-z]\w*)\s*=\s*(.*?)\s*$/.exec(line);
      if (setting === null) continue;
      const [, key = '', value = ''] = setting;
      const path = `${section}.${key}`;
      settings.set(path, value === '' ? [] : [...(settings.get(path) ?? []), value]);
    }
  }
  return { name: basename(file), file, settings };
}

/** The value that holds: the last one. */
export function unitSetting(unit: UnitFile, key: string): string | undefined {
  return unit.settings.get(`Service.${key}`)?.at(-1);
}

export function isYes(value: string | undefined): boolean {
  return value !== undefined && /^(?:1|yes|true|on)$/i.test(value);
}

const UNITS_MS: ReadonlyArray<readonly [RegExp, number]> = [
  [/^(?:ms|msec)$/, 1],
  [/^(?:s|sec|seconds?|)$/, 1_000],
  [/^(?:m|min|minutes?)$/, 60_000],
  [/^(?:h|hr|hours?)$/, 3_600_000],
  [/^(?:d|days?)$/, 86_400_000],
];

/** "75", "1min 30s", "infinity"; undefined when it is none. */
export function unitTimeMs(text: string): number | undefined {
  if (text === 'infinity') return Infinity;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]*)\s*/gi)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text) return undefined;
  let totalMs = 0;
  for (const [, amount, unit = ''] of parts) {
    const sizeMs = UNITS_MS.find(([pattern]) => pattern.test(unit.toLowerCase()))?.[1];
    if (sizeMs === undefined) return undefined;
    totalMs += Number(amount) * sizeMs;
  }
  return totalMs;
}

/** The hard limit of "262144", "1024:524288" or "infinity". */
export function unitLimit(text: string): number | undefined {
  const hard = text.split(':').at(-1) ?? '';
  if (hard === 'infinity') return Infinity;
  return /^\d+$/.test(hard) ? Number(hard) : undefined;
}

function dropInTexts(directory: string): string[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  return names
    .filter((name) => name.endsWith('.conf'))
    .toSorted()
    .flatMap((name) => textOf(join(directory, name)) ?? []);
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
