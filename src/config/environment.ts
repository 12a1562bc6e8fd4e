// What the environment says: one variable for each option, and one for each option of an entry of a list whose entries have
// names, such as HOLDFAST_CHANNEL_NAMESPACES_CHAT_PRESENCE.
import type { ConfigIssue } from './issues.ts';
import {
  entryOptions,
  entryVariable,
  environmentName,
  namedLists,
  type Option,
  pathText,
} from './options.ts';
import { nearest } from './suggest.ts';
import { isTree, type Path, type Tree, valueAt } from './tree.ts';

/** Variables that begin like options and mean something else. */
const RESERVED: readonly string[] = ['HOLDFAST_CONFIG'];

/** An option and the text that it was given. */
export interface Given {
  readonly option: Option;
  /** The entry of a list that it is for; empty for none. */
  readonly entry: Path;
  /** From there, or from the top. */
  readonly keys: readonly string[];
  readonly text: string;
  /** Name of the variable, or the flag. */
  readonly origin: string;
}

interface Entry {
  readonly name: string;
  readonly path: Path;
}

export class Environment {
  readonly #options: readonly Option[];
  readonly #variables: Readonly<Record<string, string | undefined>>;
  /** All that would mean something, set or not. */
  readonly #known = new Set(RESERVED);

  constructor(variables: Readonly<Record<string, string | undefined>>, options: readonly Option[]) {
    this.#variables = variables;
    this.#options = options;
  }

  /** Options that are in no list, and lists as a whole. */
  readOptions(): Given[] {
    return this.#options.flatMap((option) => {
      const variable = environmentName(option);
      return variable === undefined ? [] : this.#read(variable, option, [], option.path);
    });
  }

  /** Options of the entries that the lists of `tree` have. */
  readEntries(tree: Tree): Given[] {
    return namedLists(this.#options).flatMap((list) =>
      entriesOf(tree, list).flatMap((entry) =>
        entryOptions(this.#options, list).flatMap((option) => {
          const keys = option.path.slice(list.path.length + 1);
          return this.#read(entryVariable(option, list, entry.name), option, entry.path, keys);
        }),
      ),
    );
  }

  /** Variables that begin like options and are none; to be asked when all others have been read. */
  strays(tree: Tree): ConfigIssue[] {
    return Object.keys(this.#variables)
      .filter((name) => name.startsWith('HOLDFAST_') && !this.#known.has(name))
      .map((name) => {
        const list = namedLists(this.#options).find((each) => name.startsWith(prefixOf(each)));
        const prefix = list === undefined ? '' : prefixOf(list);
        const meant = nearest(
          name,
          [...this.#known].filter((known) => known.startsWith(prefix)),
        );
        return {
          option: name,
          where: 'environment',
          message:
            list === undefined ? 'is no option' : `is no option of an entry; ${entriesText(tree, list)}`,
          ...(meant === undefined ? {} : { suggestion: meant }),
        };
      });
  }

  #read(variable: string, option: Option, entry: Path, keys: readonly string[]): Given[] {
    this.#known.add(variable);
    const text = this.#variables[variable];
    return text === undefined ? [] : [{ option, entry, keys, text, origin: variable }];
  }
}

/** Of the variables of its entries. */
function prefixOf(list: Option): string {
  return `${environmentName(list) ?? ''}_`;
}

function entriesOf(tree: Tree, list: Option): Entry[] {
  const entries = valueAt(tree, list.path);
  if (!Array.isArray(entries)) return [];
  return entries.flatMap((entry: unknown, index) => {
    const name = isTree(entry) ? entry['name'] : undefined;
    return typeof name === 'string' ? [{ name, path: [...list.path, index] }] : [];
  });
}

function entriesText(tree: Tree, list: Option): string {
  const names = entriesOf(tree, list).map(({ name }) => name);
  const listed = names.length === 0 ? 'has none' : `has ${names.join(', ')}`;
  return `${pathText(list.path)} ${listed}`;
}
