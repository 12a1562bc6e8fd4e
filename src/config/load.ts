// Puts the configuration together: defaults, then a file, then the environment, then flags; the last one wins.
import { resolve } from 'node:path';
import { ConfigError } from '../util/errors.ts';
import type { ConfigFile } from './config-file.ts';
import { type ConfigIssue, describeIssues, InvalidConfigError } from './issues.ts';
import { Environment, type Given } from './environment.ts';
import { listOptions, namedLists, type Option, pathText } from './options.ts';
import { type Config, configSchema } from './schema.ts';
import { nearestOption } from './suggest.ts';
import { isTree, type Path, setIn, valueAt } from './tree.ts';

/** An option given as text on the command line. */
export interface Override {
  /** `http_server.port` */
  readonly option: string;
  readonly value: string;
  /** How it was given, for messages: `--port`. */
  readonly flag: string;
}

export interface ConfigSources {
  readonly file?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly overrides?: readonly Override[] | undefined;
}

/** Throws ConfigError, with every fault at once. */
export async function loadConfig(sources: ConfigSources): Promise<Config> {
  const name = sources.file ?? sources.environment['HOLDFAST_CONFIG'];
  if (name === undefined || name === '') return resolveConfig(sources, undefined);
  const { readConfigFile } = await import('./config-file.ts');
  return resolveConfig(sources, await readConfigFile(name));
}

export function resolveConfig(sources: Omit<ConfigSources, 'file'>, file: ConfigFile | undefined): Config {
  const { options } = listOptions();
  const issues: ConfigIssue[] = [];
  const tree = structuredClone({ ...file?.tree });
  const origins = new Map<string, string>();
  const take = ({ option, entry, keys, text, origin }: Given): void => {
    const path = pathText([...entry, ...keys]);
    try {
      const holder = valueAt(tree, entry);
      if (isTree(holder)) setIn(holder, keys, coerce(option, text, options));
      origins.set(path, origin);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      issues.push({ option: path, where: origin, message: error.message });
    }
  };
  const environment = new Environment(sources.environment, options);
  environment.readOptions().forEach(take);
  environment.readEntries(tree).forEach(take);
  issues.push(...environment.strays(tree));
  fromOverrides(sources.overrides ?? [], options, issues).forEach(take);
  const parsed = configSchema.safeParse(tree);
  const locate = (path: Path): string => {
    for (let length = path.length; length > 0; length -= 1) {
      const origin = origins.get(pathText(path.slice(0, length)));
      if (origin !== undefined) return origin;
    }
    return file?.locate(path) ?? 'configuration';
  };
  if (!parsed.success) issues.push(...describeIssues(parsed.error.issues, tree, options, locate));
  if (issues.length > 0 || !parsed.success) throw new InvalidConfigError(issues);
  const config = parsed.data;
  const moduleBase = origins.has('app.module') ? '.' : (file?.directory ?? '.');
  const module = config.app.module === '' ? '' : resolve(moduleBase, config.app.module);
  return { ...config, app: { ...config.app, module } };
}

function fromOverrides(
  overrides: readonly Override[],
  options: readonly Option[],
  issues: ConfigIssue[],
): Given[] {
  const settable = options.filter((option) => !option.path.includes('[]'));
  return overrides.flatMap(({ option: name, value, flag }) => {
    const option = settable.find((candidate) => pathText(candidate.path) === name);
    if (option !== undefined) return [{ option, entry: [], keys: option.path, text: value, origin: flag }];
    const meant = nearestOption(
      name.split('.'),
      settable.map((candidate) => candidate.path),
    );
    issues.push({
      option: name,
      where: flag,
      message: 'is no option',
      ...(meant === undefined ? {} : { suggestion: pathText(meant) }),
    });
    return [];
  });
}

/** What is not recognised stays a text, so that the schema says what was expected. */
function coerce(option: Option, text: string, options: readonly Option[]): unknown {
  switch (option.kind) {
    case 'flag':
      if (text === 'true' || text === '1') return true;
      return text === 'false' || text === '0' || text === '' ? false : text;
    case 'integer':
      return /^-?\d+$/.test(text) ? Number(text) : text;
    case 'texts':
      return text.trimStart().startsWith('[') ? parseJson(text) : itemsOf(text);
    case 'list':
      if (/^\s*[[{]/.test(text) || !namedLists(options).includes(option)) return parseJson(text);
      return itemsOf(text).map((name) => ({ name }));
    case 'map':
      return parseJson(text);
    case 'port':
    case 'duration':
    case 'text':
    case 'choice':
      return text;
  }
}

function itemsOf(text: string): string[] {
  return text.split(/[\s,]+/).filter((item) => item !== '');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ConfigError('expected JSON', { cause: error });
  }
}
