// Says what is wrong with a configuration: the option, its value, where it was written, and what was meant.
import type { z } from 'zod';
import { ConfigError } from '../util/errors.ts';
import { foreignReason } from './foreign.ts';
import { type Option, pathText } from './options.ts';
import { nearest, nearestOption } from './suggest.ts';
import { type Path, valueAt } from './tree.ts';

export interface ConfigIssue {
  /** `client.pong_timeout` */
  readonly option: string;
  /** `holdfast.yaml:7`, the name of an environment variable, or a flag. */
  readonly where: string;
  /** As JSON; absent for secrets and for names that do not exist. */
  readonly value?: string;
  readonly message: string;
  /** The valid name or value that was probably meant. */
  readonly suggestion?: string;
}

export class InvalidConfigError extends ConfigError {
  readonly issues: readonly ConfigIssue[];
  constructor(issues: readonly ConfigIssue[]) {
    super(issues.map(issueText).join('\n'));
    this.issues = issues;
  }
}

export function issueText(issue: ConfigIssue): string {
  const value = issue.value === undefined ? '' : ` = ${issue.value}`;
  const hint = issue.suggestion === undefined ? '' : ` (did you mean ${issue.suggestion}?)`;
  return `${issue.where}: ${issue.option}${value}: ${issue.message}${hint}`;
}

export type Locate = (path: Path) => string;

/** One issue of ours for each fault of theirs: unknown keys of one object become one issue each. */
export function describeIssues(
  found: readonly z.core.$ZodIssue[],
  tree: unknown,
  options: readonly Option[],
  locate: Locate,
): ConfigIssue[] {
  return found.flatMap((issue) => {
    const path = issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key));
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => describeUnknown([...path, key], options, locate));
    }
    return [describeValue(issue, path, tree, options, locate)];
  });
}

function describeUnknown(path: Path, options: readonly Option[], locate: Locate): ConfigIssue {
  const pattern = schemaPath(path);
  const reason = foreignReason(pattern);
  const base = { option: pathText(path), where: locate(path) };
  if (reason !== undefined) return { ...base, message: `is not supported: ${reason}` };
  const meant = nearestOption(
    pattern,
    options.map((option) => option.path),
  );
  if (meant === undefined) return { ...base, message: 'is no option' };
  return { ...base, message: 'is no option', suggestion: pathText(withIndexes(meant, path)) };
}

/** Names the entry of a list that the faulty path went through, where the suggestion goes through it too. */
function withIndexes(option: readonly string[], path: Path): Path {
  return option.map((key, index) => (key === '[]' ? (path[index] ?? key) : key));
}

function describeValue(
  issue: z.core.$ZodIssue,
  path: Path,
  tree: unknown,
  options: readonly Option[],
  locate: Locate,
): ConfigIssue {
  const pattern = schemaPath(path);
  const value = valueAt(tree, path);
  const base = { option: pathText(path), where: locate(path), message: messageOf(issue, value) };
  // Also when the value stands where a group with a secret inside belongs: it may be the secret itself.
  const isSecret = options.some(
    (option) => option.isSecret && (isPrefix(option.path, pattern) || isPrefix(pattern, option.path)),
  );
  const shown = isSecret || value === undefined ? {} : { value: shorten(JSON.stringify(value)) };
  const meant =
    issue.code === 'invalid_value' && typeof value === 'string'
      ? nearest(
          value,
          issue.values.map((each) => String(each)).filter((each) => each !== ''),
        )
      : undefined;
  return { ...base, ...shown, ...(meant === undefined ? {} : { suggestion: JSON.stringify(meant) }) };
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a whole number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a group of options',
  record: 'a map of texts',
};

function messageOf(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.code === 'invalid_type') {
    if (value === undefined) return 'is required';
    // A field with a hint of its own keeps it; the library's own words name types of the language.
    return issue.message.startsWith('Invalid input')
      ? `expected ${TYPE_NAMES[issue.expected] ?? issue.expected}`
      : issue.message;
  }
  if (issue.code === 'invalid_value') {
    return `expected one of ${issue.values.map((each) => JSON.stringify(each)).join(', ')}`;
  }
  if (issue.code === 'too_small') return `expected at least ${issue.minimum}`;
  if (issue.code === 'too_big') return `expected at most ${issue.maximum}`;
  return issue.message;
}

function schemaPath(path: Path): string[] {
  return path.map((key) => (typeof key === 'number' ? '[]' : key));
}

function isPrefix(prefix: readonly string[], path: readonly string[]): boolean {
  return prefix.length <= path.length && prefix.every((key, index) => key === path[index]);
}

function shorten(json: string): string {
  return json.length <= 80 ? json : `${json.slice(0, 77)}...`;
}
