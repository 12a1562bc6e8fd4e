// Which publications a subscriber wants, by their tags (client protocol §17): a tree from the client, checked once and
// compiled into a predicate.
import { HoldfastError } from '../util/errors.ts';
import { type Decimal, compareDecimals, parseDecimal } from './decimal.ts';

export type Tags = Readonly<Record<string, string>> | undefined;

/** The caller answers error 107. */
export class InvalidTagsFilterError extends HoldfastError {
  constructor(message: string) {
    super('HOLDFAST_TAGS_FILTER', message);
  }
}

type Comparison =
  'eq' | 'neq' | 'in' | 'nin' | 'ex' | 'nex' | 'sw' | 'ew' | 'ct' | 'gt' | 'gte' | 'lt' | 'lte';

/** A checked tree. Plain data: it travels with a session and can be parsed again. */
export type FilterNode =
  | { readonly op: 'and' | 'or' | 'not'; readonly nodes: readonly FilterNode[] }
  | { readonly key: string; readonly cmp: Comparison; readonly val: string }
  | { readonly key: string; readonly cmp: Comparison; readonly vals: readonly string[] }
  | { readonly key: string; readonly cmp: Comparison };

export interface TagsFilter {
  readonly source: FilterNode;
  matches(this: void, tags: Tags): boolean;
}

const MAX_DEPTH = 32;
const MAX_NODES = 512;
const MAX_VALUES = 4096;

type Predicate = (tags: Tags) => boolean;
/** `value` as it came from a codec or out of a session. Throws InvalidTagsFilterError. */
export function parseTagsFilter(value: unknown): TagsFilter {
  const budget = { nodes: MAX_NODES, values: MAX_VALUES };
  const [source, matches] = parseNode(value, 1, budget);
  return Object.freeze({ source, matches });
}

interface Budget {
  nodes: number;
  values: number;
}

type Parsed = readonly [source: FilterNode, matches: Predicate];

function parseNode(value: unknown, depth: number, budget: Budget): Parsed {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidTagsFilterError('a node of a tags filter must be an object');
  }
  budget.nodes -= 1;
  if (depth > MAX_DEPTH || budget.nodes < 0) throw new InvalidTagsFilterError('tags filter is too large');
  const fields: Readonly<Record<string, unknown>> = { ...value };
  const op = text(fields, 'op');
  return op === '' ? parseLeaf(fields, budget) : parseBranch(op, fields, depth, budget);
}

function parseBranch(
  op: string,
  fields: Readonly<Record<string, unknown>>,
  depth: number,
  budget: Budget,
): Parsed {
  if (op !== 'and' && op !== 'or' && op !== 'not') {
    throw new InvalidTagsFilterError('op of a tags filter must be and, or, not or empty');
  }
  const list = fields['nodes'];
  const children = Array.isArray(list) ? list.map((node) => parseNode(node, depth + 1, budget)) : [];
  const first = children[0];
  if (first === undefined || (op === 'not' && children.length !== 1)) {
    throw new InvalidTagsFilterError(`${op} of a tags filter needs ${op === 'not' ? 'one node' : 'nodes'}`);
  }
  const source: FilterNode = { op, nodes: children.map(([child]) => child) };
  const predicates = children.map(([, matches]) => matches);
  if (op === 'not') {
    const [, inner] = first;
    return [source, (tags) => !inner(tags)];
  }
  return op === 'and'
    ? [source, (tags) => predicates.every((matches) => matches(tags))]
    : [source, (tags) => predicates.some((matches) => matches(tags))];
}

function parseLeaf(fields: Readonly<Record<string, unknown>>, budget: Budget): Parsed {
  const key = text(fields, 'key');
  const cmp = text(fields, 'cmp');
  const val = text(fields, 'val');
  const vals = texts(fields, 'vals');
  budget.values -= vals.length;
  if (budget.values < 0) throw new InvalidTagsFilterError('tags filter is too large');
  if (key === '') throw new InvalidTagsFilterError('a comparison of a tags filter needs a key');
  const uses = (wantsVal: boolean, wantsVals: boolean): void => {
    if ((val !== '') === wantsVal && vals.length > 0 === wantsVals) return;
    const wanted = wantsVal ? 'val only' : wantsVals ? 'vals only' : 'neither val nor vals';
    throw new InvalidTagsFilterError(`comparison ${cmp} of a tags filter takes ${wanted}`);
  };
  switch (cmp) {
    case 'ex':
    case 'nex':
      uses(false, false);
      return [{ key, cmp }, (tags) => (tagOf(tags, key) === undefined) === (cmp === 'nex')];
    case 'in':
    case 'nin': {
      uses(false, true);
      const members = new Set(vals);
      const isIn = (tag: string | undefined) => tag !== undefined && members.has(tag);
      return [{ key, cmp, vals }, (tags) => isIn(tagOf(tags, key)) === (cmp === 'in')];
    }
    case 'eq':
    case 'neq':
    case 'sw':
    case 'ew':
    case 'ct':
      uses(true, false);
      return [{ key, cmp, val }, textPredicate(key, cmp, val)];
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      uses(true, false);
      return [{ key, cmp, val }, numberPredicate(key, cmp, parseDecimal(val))];
    default:
      throw new InvalidTagsFilterError('unknown comparison in a tags filter');
  }
}

function textPredicate(key: string, cmp: 'eq' | 'neq' | 'sw' | 'ew' | 'ct', wanted: string): Predicate {
  switch (cmp) {
    case 'eq':
      return (tags) => tagOf(tags, key) === wanted;
    case 'neq':
      return (tags) => tagOf(tags, key) !== wanted;
    case 'sw':
      return (tags) => tagOf(tags, key)?.startsWith(wanted) === true;
    case 'ew':
      return (tags) => tagOf(tags, key)?.endsWith(wanted) === true;
    case 'ct':
      return (tags) => tagOf(tags, key)?.includes(wanted) === true;
  }
}

/** What is no decimal number, on either side, matches nothing. */
function numberPredicate(
  key: string,
  cmp: 'gt' | 'gte' | 'lt' | 'lte',
  wanted: Decimal | undefined,
): Predicate {
  return (tags) => {
    const tag = wanted === undefined ? undefined : parseDecimal(tagOf(tags, key) ?? '');
    if (tag === undefined || wanted === undefined) return false;
    const order = compareDecimals(tag, wanted);
    switch (cmp) {
      case 'gt':
        return order > 0;
      case 'gte':
        return order >= 0;
      case 'lt':
        return order < 0;
      case 'lte':
        return order <= 0;
    }
  };
}

function tagOf(tags: Tags, key: string): string | undefined {
  return tags !== undefined && Object.hasOwn(tags, key) ? tags[key] : undefined;
}

function text(fields: Readonly<Record<string, unknown>>, name: string): string {
  const value = fields[name] ?? '';
  if (typeof value !== 'string')
    throw new InvalidTagsFilterError(`${name} of a tags filter must be a string`);
  return value;
}

function texts(fields: Readonly<Record<string, unknown>>, name: string): readonly string[] {
  const value = fields[name] ?? [];
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
    throw new InvalidTagsFilterError(`${name} of a tags filter must be an array of strings`);
  }
  return value;
}
