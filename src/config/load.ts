// Puts the configuration together: defaults, then a file, then the environment, then flags; the last one wins.
import { resolve } from 'node:path';
import { ConfigError } from '../util/errors.ts';
import type { ConfigFile } from './config-file.ts';
import { type ConfigIssue, describeIssues, InvalidConfigError } from './issues.ts';
import { environmentName, listOptions, type Option, pathText } from './options.ts';
import { type Config, configSchema } from './schema.ts';
import { nearest, nearestOption } from './suggest.ts';
import { type Path, setIn } from './tree.ts';

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

/** Variables that begin like options and mean something else. */
const RESERVED_VARIABLES: readonly string[] = ['HOLDFAST_CONFIG'];

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
  for (const given of [
    ...fromEnvironment(sources.environment, options, issues),
    ...fromOverrides(sources.overrides ?? [], options, issues),
  ]) {
    try {
      setIn(tree, given.option.path, coerce(given.option, given.text));
      origins.set(pathText(given.option.path), given.origin);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      issues.push({ option: pathText(given.option.path), where: given.origin, message: error.message });
    }
  }
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

interface Given {
  readonly option: Option;
  readonly text: string;
  readonly origin: string;
}

function fromEnvironment(
  environment: ConfigSources['environment'],
  options: readonly Option[],
  issues: ConfigIssue[],
): Given[] {
  const byName = new Map<string, Option>();
  for (const option of options) {
    const name = environmentName(option);
    if (name !== undefined) byName.set(name, option);
  }
  const given: Given[] = [];
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith('HOLDFAST_') || text === undefined || RESERVED_VARIABLES.includes(name)) continue;
    const option = byName.get(name);
    if (option !== undefined) {
      given.push({ option, text, origin: name });
      continue;
    }
    const meant = nearest(name, [...byName.keys(), ...RESERVED_VARIABLES]);
    issues.push({
      option: name,
      where: 'environment',
      message: 'is no option',
      ...(meant === undefined ? {} : { suggestion: meant }),
    });
  }
  return given;
}

function fromOverrides(
  overrides: readonly Override[],
  options: readonly Option[],
  issues: ConfigIssue[],
): Given[] {
  const settable = options.filter((option) => !option.path.includes('[]'));
  return overrides.flatMap(({ option: name, value, flag }) => {
    const option = settable.find((candidate) => pathText(candidate.path) === name);
    if (option !== undefined) return [{ option, text: value, origin: flag }];
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
function coerce(option: Option, text: string): unknown {
  switch (option.kind) {
    case 'flag':
      if (text === 'true' || text === '1') return true;
      return text === 'false' || text === '0' || text === '' ? false : text;
    case 'integer':
      return /^-?\d+$/.test(text) ? Number(text) : text;
    case 'texts':
      return text.trimStart().startsWith('[')
        ? parseJson(text)
        : text.split(/[\s,]+/).filter((item) => item !== '');
    case 'list':
    case 'map':
      return parseJson(text);
    case 'port':
    case 'duration':
    case 'text':
    case 'choice':
      return text;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ConfigError('expected JSON', { cause: error });
  }
}
