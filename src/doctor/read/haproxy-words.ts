// One line of an haproxy.cfg as its words: quotes, escapes, comments and ${VARIABLE-default} as HAProxy reads them.

type Environment = Readonly<Record<string, string | undefined>>;

export function haproxyWords(line: string, environment: Environment): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < line.length; at++) {
    const char = line[at] ?? '';
    if (char === '\\' && quote !== "'") {
      word = (word ?? '') + (line[++at] ?? '');
    } else if (quote !== '') {
      if (char === quote) quote = '';
      else if (char === '$' && quote === '"') {
        const { value, length } = variable(line.slice(at), environment);
        word = (word ?? '') + value;
        at += length - 1;
      } else word = (word ?? '') + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (char === '#') {
      break;
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === '$') {
      const { value, length } = variable(line.slice(at), environment);
      word = (word ?? '') + value;
      at += length - 1;
    } else word = (word ?? '') + char;
  }
  if (word !== undefined) words.push(word);
  return words;
}

function variable(
  text: string,
  environment: Environment,
): { readonly value: string; readonly length: number } {
  const match = /^\$(?:\{(\w+)(?:-([^}]*))?\}|(\w+))/.exec(text);
  if (match === null) return { value: '$', length: 1 };
  const [whole, braced, byDefault = '', bare] = match;
  return { value: environment[braced ?? bare ?? ''] ?? byDefault, length: whole.length };
}
