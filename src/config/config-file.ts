// Reads a JSON or YAML file (JSON is YAML) and remembers on which line each option stands.
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LineCounter, isMap, isScalar, isSeq, parseDocument, type Document } from 'yaml';
import { ConfigError } from '../util/errors.ts';
import { isTree, type Path, type Tree, withoutNulls } from './tree.ts';

export interface ConfigFile {
  readonly tree: Readonly<Tree>;
  /** Paths in the file are relative to it; undefined: to the working directory. */
  readonly directory?: string;
  /** `holdfast.yaml:7`, of the deepest part of the path that the file holds. */
  locate(path: Path): string;
}

export async function readConfigFile(file: string): Promise<ConfigFile> {
  let source: string;
  try {
    source = await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigError(`${file}: cannot be read: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  return parseConfigFile(source, file);
}

export function parseConfigFile(source: string, file: string): ConfigFile {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, merge: true });
  const [fault] = document.errors;
  if (fault !== undefined) {
    const line = lines.linePos(fault.pos[0]).line;
    if (isToml(file)) throw tomlError(file);
    // The place is said already.
    const [what = ''] = fault.message.split(/ at line \d+, column \d+|\n/, 1);
    throw new ConfigError(`${file}:${line}: is neither JSON nor YAML: ${what}`);
  }
  const tree: unknown = withoutNulls(document.toJS() ?? {});
  if (!isTree(tree) && isToml(file)) throw tomlError(file);
  if (!isTree(tree)) throw new ConfigError(`${file}:1: expected options, found something else`);
  // Editors know by this key which schema the file follows.
  const { $schema: _, ...options } = tree;
  return {
    tree: options,
    directory: dirname(file),
    locate: (path) => {
      const offset = offsetOf(document, path);
      return offset === undefined ? file : `${file}:${lines.linePos(offset).line}`;
    },
  };
}

/** Which Centrifugo reads as well. */
function isToml(file: string): boolean {
  return file.endsWith('.toml');
}

function tomlError(file: string): ConfigError {
  return new ConfigError(`${file}: TOML is not read: write the same options in YAML or JSON`);
}

/** Where the key (or list entry) at the path begins; its nearest parent when the file does not hold it. */
function offsetOf(document: Document.Parsed, path: Path): number | undefined {
  let node: unknown = document.contents;
  let offset: number | undefined;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => (isScalar(key) ? key.value : key) === step);
      if (pair === undefined) return offset;
      offset = isScalar(pair.key) ? (pair.key.range?.[0] ?? offset) : offset;
      node = pair.value;
    } else if (isSeq(node) && typeof step === 'number') {
      node = node.items[step];
      if (isMap(node) || isScalar(node)) offset = node.range?.[0] ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

const READ_FAULTS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
};

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && typeof error.code === 'string'
    ? (READ_FAULTS[error.code] ?? error.message)
    : error.message;
}
