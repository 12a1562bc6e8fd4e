// Writes what the schema says: the reference page, the JSON Schema for editors, and the full default configuration.
import { stringify } from 'yaml';
import {
  configJsonSchema,
  entryOptions,
  entryVariable,
  environmentName,
  listOptions,
  namedLists,
  type Option,
  type OptionGroup,
  pathText,
} from './options.ts';
import { setIn, type Tree } from './tree.ts';

/** docs/configuration.md */
export function referencePage(): string {
  const { options, groups } = listOptions();
  const sections = sectionsOf(options, groups);
  const variables = variablesOf(options);
  return [PREAMBLE, ...sections.map((section) => sectionText(section, variables))].join('\n');
}

/** docs/configuration.schema.json */
export function jsonSchemaText(): string {
  const { $schema, properties, ...rest } = configJsonSchema();
  const schema = {
    $schema,
    title: 'Holdfast configuration',
    ...rest,
    properties: {
      $schema: { type: 'string', description: 'Where this schema is, for editors.' },
      ...properties,
    },
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

/** The defaults as a tree, in the form a file has. */
export function defaultTree(): Tree {
  const tree: Tree = {};
  for (const option of topLevel(listOptions().options)) setIn(tree, option.path, option.initial);
  return tree;
}

/** A YAML file that sets every option to its default, each with its description. */
export function defaultsYaml(): string {
  const { options, groups } = listOptions();
  const lines = ['# Every option with its default. A file needs only the lines that differ.'];
  const seen = new Set<string>();
  for (const option of topLevel(options)) {
    for (let depth = 1; depth < option.path.length; depth += 1) {
      const path = option.path.slice(0, depth);
      if (seen.has(pathText(path))) continue;
      seen.add(pathText(path));
      const about = groups.find((group) => pathText(group.path) === pathText(path))?.about;
      const indent = '  '.repeat(depth - 1);
      if (depth === 1) lines.push('');
      if (about !== undefined) lines.push(`${indent}# ${about}`);
      lines.push(`${indent}${path.at(-1) ?? ''}:`);
    }
    const indent = '  '.repeat(option.path.length - 1);
    if (option.path.length === 1) lines.push('');
    lines.push(`${indent}# ${option.about}`);
    const written = stringify({ [option.path.at(-1) ?? '']: option.initial }).trimEnd();
    lines.push(written.replace(/^/gm, indent));
  }
  return `${lines.join('\n')}\n`;
}

const PREAMBLE = `# Configuration

Written by \`npm run docs\` from the schema in \`src/config\`; changes made here are lost.

Options come from a JSON or YAML file (\`holdfast serve --config FILE\`, or the variable \`HOLDFAST_CONFIG\`), then from the
environment, then from flags (\`--set client.channel_limit=64\`); the last one wins. Lists in the environment are separated by
commas or spaces or written as JSON; maps are JSON. A list of groups is JSON, or the names of its entries, each of which then
has variables of its own (with its name in upper case, dots and dashes as \`_\`), as those of a file have, too:

\`\`\`sh
HOLDFAST_CHANNEL_NAMESPACES="chat news" HOLDFAST_CHANNEL_NAMESPACES_CHAT_PRESENCE=true
\`\`\`

Durations are written \`1m30s\`, \`25s\`, \`1000ms\` or \`720h\`; sizes are bytes. Unknown names are errors. \`holdfast check FILE\`
validates a file, \`holdfast defaults\` prints one with every option, and \`docs/configuration.schema.json\` lets editors complete
names:

\`\`\`yaml
# yaml-language-server: $schema=docs/configuration.schema.json
\`\`\`
`;

interface Section {
  readonly path: readonly string[];
  readonly about: string;
  readonly options: Option[];
}

/** A table for each group of options, in the order of the schema; top-level options come first. */
function sectionsOf(options: readonly Option[], groups: readonly OptionGroup[]): Section[] {
  const sections = new Map<string, Section>();
  for (const option of options) {
    const path = option.path.slice(0, -1);
    const key = pathText(path);
    const about = groups.find((group) => pathText(group.path) === key)?.about ?? '';
    const section = sections.get(key) ?? { path, about, options: [] };
    section.options.push(option);
    sections.set(key, section);
  }
  const all = [...sections.values()];
  return [...all.filter(({ path }) => path.length === 0), ...all.filter(({ path }) => path.length > 0)];
}

/** How the environment names each option that it can name. */
function variablesOf(options: readonly Option[]): ReadonlyMap<Option, string> {
  const variables = new Map<Option, string>();
  for (const option of options) {
    const variable = environmentName(option);
    if (variable !== undefined) variables.set(option, variable);
  }
  for (const list of namedLists(options)) {
    for (const option of entryOptions(options, list)) {
      variables.set(option, entryVariable(option, list, '<NAME>'));
    }
  }
  return variables;
}

function sectionText({ path, about, options }: Section, variables: ReadonlyMap<Option, string>): string {
  const title = path.length === 0 ? 'Top level' : `\`${pathText(path)}\``;
  const hasNames = options.some((option) => variables.has(option));
  const head = hasNames
    ? ['| option | type | default | environment | meaning |', '| --- | --- | --- | --- | --- |']
    : ['| option | type | default | meaning |', '| --- | --- | --- | --- |'];
  const rows = options.map((option) => {
    const cells = [`\`${option.path.at(-1) ?? ''}\``, typeText(option), initialText(option)];
    if (hasNames) cells.push(variables.has(option) ? `\`${variables.get(option)}\`` : '');
    return `| ${[...cells, option.about.replaceAll('|', '\\|')].join(' | ')} |`;
  });
  return ['', `## ${title}`, '', ...(about === '' ? [] : [about, '']), ...head, ...rows].join('\n');
}

const TYPE_TEXTS: Readonly<Record<Option['kind'], string>> = {
  flag: 'true or false',
  integer: 'whole number',
  port: 'port',
  duration: 'duration',
  text: 'text',
  choice: 'one of',
  texts: 'list of texts',
  list: 'list',
  map: 'map of texts',
};

function typeText(option: Option): string {
  if (option.isSecret && option.kind === 'text') return 'secret';
  if (option.kind !== 'choice') return TYPE_TEXTS[option.kind];
  return option.values.map((value) => (value === '' ? 'empty' : `\`${value}\``)).join(', ');
}

function initialText({ initial }: Option): string {
  if (initial === undefined) return 'required';
  if (initial === '') return 'empty';
  return `\`${typeof initial === 'string' ? initial : JSON.stringify(initial)}\``;
}

function topLevel(options: readonly Option[]): Option[] {
  return options.filter((option) => !option.path.includes('[]'));
}
