// Reads an haproxy.cfg as far as the rules need it: sections, their lines as words, and which defaults apply to which.
import { haproxyWords } from './haproxy-words.ts';

export interface HaproxyLine {
  /** From 1. */
  readonly number: number;
  readonly words: readonly string[];
}

export interface HaproxySection {
  readonly kind: string;
  readonly name: string;
  readonly lines: readonly HaproxyLine[];
  /** Lines of the `defaults` that it inherits. */
  readonly inherited: readonly HaproxyLine[];
}

export interface HaproxyConfig {
  readonly file: string;
  readonly sections: readonly HaproxySection[];
}

export interface HaproxyServer {
  readonly name: string;
  readonly address: string;
  readonly line: HaproxyLine;
  /** Its own words after those of `default-server`: a later one overrides. */
  readonly options: readonly string[];
}

const SECTIONS = new Set(
  'global defaults frontend backend listen userlist peers mailers resolvers cache program http-errors ring log-forward fcgi-app'.split(
    ' ',
  ),
);
const PROXIES = new Set(['frontend', 'backend', 'listen']);

export function parseHaproxyConfig(
  text: string,
  file: string,
  environment: Readonly<Record<string, string | undefined>> = {},
): HaproxyConfig {
  const sections: Array<{ kind: string; name: string; lines: HaproxyLine[]; inherited: HaproxyLine[] }> = [];
  const namedDefaults = new Map<string, HaproxyLine[]>();
  let defaults: HaproxyLine[] = [];
  for (const { number, words } of conditionalLines(text, environment)) {
    const [first = '', second = ''] = words;
    if (!SECTIONS.has(first)) {
      sections.at(-1)?.lines.push({ number, words });
      continue;
    }
    const from = words.indexOf('from');
    const base = from === -1 ? defaults : (namedDefaults.get(words[from + 1] ?? '') ?? defaults);
    const inherits = PROXIES.has(first) || (first === 'defaults' && from !== -1);
    const section = {
      kind: first,
      name: second === 'from' ? '' : second,
      lines: [],
      inherited: inherits ? base : [],
    };
    sections.push(section);
    if (first === 'defaults') {
      // Filled by the lines that follow; whoever inherits sees them all.
      defaults = section.lines;
      namedDefaults.set(section.name, section.lines);
    }
  }
  return { file, sections };
}

/** Lines with words, without those that `.if` leaves out. A condition that is not understood holds. */
function* conditionalLines(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
): Generator<HaproxyLine> {
  const open: Array<{ holds: boolean; taken: boolean }> = [];
  for (const [index, line] of text.split('\n').entries()) {
    const directive = /^\s*\.(if|elif|else|endif)\b\s*(.*)$/.exec(line);
    if (directive !== null) {
      const [, word = '', condition = ''] = directive;
      if (word === 'if') {
        const holds = conditionHolds(condition, environment);
        open.push({ holds, taken: holds });
      } else if (word === 'endif') open.pop();
      else {
        const branch = open.at(-1);
        if (branch === undefined) continue;
        branch.holds = !branch.taken && (word === 'else' || conditionHolds(condition, environment));
        branch.taken ||= branch.holds;
      }
      continue;
    }
    if (open.some(({ holds }) => !holds)) continue;
    const words = haproxyWords(line, environment);
    if (words.length > 0) yield { number: index + 1, words };
  }
}

function conditionHolds(
  condition: string,
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  const match = /^(!?)\s*defined\((\w+)\)\s*$/.exec(condition);
  if (match === null) return true;
  const [, not = '', name = ''] = match;
  return (environment[name] !== undefined) === (not === '');
}

/** The last line that begins with these words, in the section or else in its defaults. */
export function haproxySetting(
  section: HaproxySection,
  ...words: readonly string[]
): HaproxyLine | undefined {
  const matches = (line: HaproxyLine): boolean => words.every((word, at) => line.words[at] === word);
  return section.lines.findLast(matches) ?? section.inherited.findLast(matches);
}

export function globalSetting(config: HaproxyConfig, ...words: readonly string[]): HaproxyLine | undefined {
  const found = config.sections
    .filter(({ kind }) => kind === 'global')
    .map((section) => haproxySetting(section, ...words));
  return found.findLast((line) => line !== undefined);
}

/** What serves clients and passes them on to servers. */
export function fronts(config: HaproxyConfig): HaproxySection[] {
  return config.sections.filter(
    (section) =>
      !isForApi(section) &&
      (section.kind === 'frontend' || section.kind === 'listen') &&
      binds(section).length > 0 &&
      (servers(section).length > 0 ||
        haproxySetting(section, 'default_backend') !== undefined ||
        haproxySetting(section, 'use_backend') !== undefined),
  );
}

/** What has servers for clients. */
export function backs(config: HaproxyConfig): HaproxySection[] {
  const forApi = new Set(
    config.sections.filter(isForApi).map((section) => haproxySetting(section, 'default_backend')?.words[1]),
  );
  for (const front of fronts(config)) {
    for (const { words } of [...front.inherited, ...front.lines]) {
      if (words[0] === 'default_backend' || words[0] === 'use_backend') forApi.delete(words[1]);
    }
  }
  return config.sections.filter(
    (section) =>
      (section.kind === 'backend' || section.kind === 'listen') &&
      servers(section).length > 0 &&
      !(section.kind === 'backend' && forApi.has(section.name)),
  );
}

/**
 * The generated way of back ends to the server API, which takes no websockets: it refuses all other paths, and its backend is
 * called so. There a 503 must not be tried again: the publish may have happened.
 */
function isForApi(section: HaproxySection): boolean {
  const refusesOthers = section.lines.some(({ words }) => {
    const condition = words.indexOf('unless');
    return (
      words[0] === 'http-request' &&
      words[1] === 'deny' &&
      condition > 0 &&
      words.slice(condition).includes('path_beg')
    );
  });
  return (
    section.kind === 'frontend' &&
    refusesOthers &&
    haproxySetting(section, 'use_backend') === undefined &&
    (haproxySetting(section, 'default_backend')?.words[1] ?? '').endsWith('_api')
  );
}

export function binds(section: HaproxySection): HaproxyLine[] {
  return section.lines.filter(({ words }) => words[0] === 'bind');
}

export function servers(section: HaproxySection): HaproxyServer[] {
  const common = [...section.inherited, ...section.lines]
    .filter(({ words }) => words[0] === 'default-server')
    .flatMap(({ words }) => words.slice(1));
  return section.lines
    .filter(({ words }) => words[0] === 'server')
    .map((line) => ({
      name: line.words[1] ?? '',
      address: line.words[2] ?? '',
      line,
      options: [...common, ...line.words.slice(3)],
    }));
}

/** The word after this one, the last time that it is there. */
export function optionOf(words: readonly string[], name: string): string | undefined {
  const at = words.lastIndexOf(name);
  return at === -1 ? undefined : words[at + 1];
}

const UNITS_MS = new Map([
  ['us', 0.001],
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** "30s", "5m", "75000" (milliseconds); undefined when it is none. */
export function haproxyTimeMs(text: string): number | undefined {
  const match = /^(\d+)(us|ms|s|m|h|d)?$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * (UNITS_MS.get(match[2] ?? 'ms') ?? 1);
}
