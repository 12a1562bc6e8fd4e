// Every option as a flat list, read from the schema: for the environment, `--set`, suggestions and the reference page.
import { z } from 'zod';
import { DURATION_PATTERN } from './duration.ts';
import { configSchema } from './schema.ts';

export type OptionKind =
  'flag' | 'integer' | 'port' | 'duration' | 'text' | 'choice' | 'texts' | 'list' | 'map';

export interface Option {
  /** Keys from the top; `[]` stands for any entry of the list before it. */
  readonly path: readonly string[];
  readonly kind: OptionKind;
  readonly about: string;
  /** As a file would give it; undefined when the option is required. */
  readonly initial: unknown;
  readonly isSecret: boolean;
  /** For `choice`. */
  readonly values: readonly string[];
}

export interface OptionGroup {
  readonly path: readonly string[];
  readonly about: string;
}

export interface OptionList {
  readonly options: readonly Option[];
  readonly groups: readonly OptionGroup[];
}

/** The part of JSON Schema that our own schema produces. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly writeOnly?: boolean;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly [keyword: string]: unknown;
}

export function configJsonSchema(): JsonSchema {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- zod types the result more loosely than what it writes
  return z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema;
}

export function listOptions(schema: JsonSchema = configJsonSchema()): OptionList {
  const options: Option[] = [];
  const groups: OptionGroup[] = [];
  collect(schema, [], options, groups);
  return { options, groups };
}

/** `channel.namespaces[].name` */
export function pathText(path: readonly (string | number)[]): string {
  return path.reduce<string>((text, key) => {
    if (key === '[]') return `${text}[]`;
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? key : `${text}.${key}`;
  }, '');
}

/** Undefined for options inside lists, see entryVariable. */
export function environmentName(option: Pick<Option, 'path'>): string | undefined {
  return option.path.includes('[]') ? undefined : variableOf(option.path);
}

/** The same for an option of a list's entry, which begins with the name of its list and of its entry. */
export function entryVariable(option: Option, list: Option, name: string): string {
  const keys = option.path.slice(list.path.length + 1);
  return variableOf([...list.path, name.replaceAll(/[.-]/g, '_'), ...keys]);
}

/** Lists whose entries have names, by which the environment may speak of them. */
export function namedLists(options: readonly Option[]): readonly Option[] {
  const texts = new Set(options.map(({ path }) => pathText(path)));
  return options.filter(({ kind, path }) => kind === 'list' && texts.has(`${pathText(path)}[].name`));
}

/** What an entry of the list may say, but for its name and what is in lists of its own. */
export function entryOptions(options: readonly Option[], list: Option): readonly Option[] {
  const within = pathText([...list.path, '[]']);
  return options.filter(
    ({ path }) =>
      pathText(path).startsWith(`${within}.`) &&
      path.lastIndexOf('[]') === list.path.length &&
      pathText(path) !== `${within}.name`,
  );
}

function variableOf(path: readonly string[]): string {
  return `HOLDFAST_${path.join('_').toUpperCase()}`;
}

function collect(
  schema: JsonSchema,
  path: readonly string[],
  options: Option[],
  groups: OptionGroup[],
): void {
  const about = schema.description ?? '';
  if (schema.properties !== undefined && schema.type === 'object') {
    if (about !== '' && path.at(-1) !== '[]') groups.push({ path, about });
    for (const [key, child] of Object.entries(schema.properties))
      collect(child, [...path, key], options, groups);
    return;
  }
  options.push({
    path,
    kind: kindOf(schema),
    about,
    initial: schema.default,
    isSecret: schema.writeOnly === true,
    values: schema.enum ?? [],
  });
  if (schema.items?.properties !== undefined) collect(schema.items, [...path, '[]'], options, groups);
}

function kindOf(schema: JsonSchema): OptionKind {
  if (schema.enum !== undefined) return 'choice';
  switch (schema.type) {
    case 'boolean':
      return 'flag';
    case 'integer':
      return 'integer';
    case 'array':
      return schema.items?.properties === undefined ? 'texts' : 'list';
    case 'object':
      return 'map';
    case 'string':
      return schema.pattern === DURATION_PATTERN.source ? 'duration' : 'text';
    case undefined:
    default:
      return schema.anyOf?.some(({ type }) => type === 'array') === true ? 'texts' : 'port';
  }
}
