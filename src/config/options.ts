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

/** Options inside lists have none: the list as a whole is given as JSON. */
export function environmentName(option: Pick<Option, 'path'>): string | undefined {
  return option.path.includes('[]') ? undefined : `HOLDFAST_${option.path.join('_').toUpperCase()}`;
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
