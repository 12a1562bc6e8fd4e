// Reads PromQL as far as tests need it: which metrics an expression uses and with which labels, and whether it is well formed.

export interface Selector {
  readonly metric: string;
  readonly labels: readonly string[];
}

export interface Expression {
  readonly selectors: readonly Selector[];
  /** Labels by which it groups. */
  readonly grouping: readonly string[];
}

const FUNCTIONS = new Set([
  'sum',
  'max',
  'min',
  'count',
  'rate',
  'increase',
  'histogram_quantile',
  'label_values',
]);
const WORDS = new Set(['and', 'or', 'unless', 'offset', 'by', 'without']);
const TOKEN =
  /\s+|(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|(?<number>\d+(?:\.\d+)?(?![a-z]))|(?<duration>\d+[smhd])|(?<braces>\{[^}]*\})|(?<range>\[[^\]]*\])|(?<operator>==|!=|>=|<=|[-+*/<>(),])/y;
const MATCHER = /^([a-z_]+)(=|!=|=~|!~)"((?:[^"\\]|\\.)*)"$/;

/** Throws when it is not PromQL. */
export function readExpression(text: string): Expression {
  const selectors: Selector[] = [];
  const grouping: string[] = [];
  let depth = 0;
  let before: 'value' | 'operator' = 'operator';
  let group = false;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const groups = TOKEN.exec(text)?.groups;
    if (groups === undefined) {
      if (TOKEN.lastIndex > at) continue;
      throw new Error(`no PromQL at '${text.slice(at, at + 20)}'`);
    }
    const { name, number, duration, braces, range, operator } = groups;
    if (name !== undefined) {
      if (group && depth > 0 && !FUNCTIONS.has(name) && !WORDS.has(name)) grouping.push(name);
      else if (WORDS.has(name)) {
        if (name === 'by' || name === 'without') group = true;
        else before = 'operator';
      } else if (!FUNCTIONS.has(name)) {
        if (before === 'value') throw new Error(`two values without an operator: ${name}`);
        selectors.push({ metric: name, labels: [] });
        before = 'value';
      }
    } else if (braces !== undefined) {
      const last = selectors.pop();
      if (last === undefined) throw new Error(`${braces} belongs to no metric`);
      const matchers = braces.slice(1, -1).split(/,(?=[a-z_]+[!=])/);
      const labels = matchers.map((matcher) => {
        const label = MATCHER.exec(matcher.trim())?.[1];
        if (label === undefined) throw new Error(`no label matcher: ${matcher}`);
        return label;
      });
      selectors.push({ ...last, labels });
    } else if (range !== undefined) {
      if (!/^\[(?:\d+[smhd]|\$__rate_interval)\]$/.test(range)) throw new Error(`no range: ${range}`);
    } else if (number !== undefined || duration !== undefined) {
      before = 'value';
    } else if (operator === '(') depth += 1;
    else if (operator === ')') {
      depth -= 1;
      if (depth < 0) throw new Error('one bracket too many');
      // The list of a `by` ends, and what it groups comes after it.
      if (group) group = false;
      else before = 'value';
    } else if (operator !== undefined) {
      if (!group) before = 'operator';
    }
  }
  if (depth !== 0) throw new Error('a bracket is not closed');
  if (before === 'operator') throw new Error('it ends with an operator');
  return { selectors, grouping };
}
