// Decides which browser pages may connect: the allow-list `client.allowed_origins` (client protocol §2.2).
import { ConfigError } from '../util/errors.ts';

/** scheme://host[:port] and nothing after it, or the opaque origin `null`. */
const ORIGIN = /^(?:null|[a-z][a-z0-9+.-]*:\/\/[^/?#@\\\s]*)$/;

/** Longer than any scheme with the longest host name; bounds what a pattern is run over. */
const MAX_ORIGIN_CHARS = 512;

export class OriginPolicy {
  readonly #patterns: readonly RegExp[];
  readonly #allowsAll: boolean;

  /** Globs: `*` any text, `?` one character, `[abc]`, `{one,two}`; compared without regard to case. */
  constructor(allowedOrigins: readonly string[]) {
    this.#allowsAll = allowedOrigins.includes('*');
    this.#patterns = allowedOrigins.map(compileGlob);
  }

  /** `origin` is the request's header; undefined (a native client) is allowed. */
  allows(origin: string | undefined): boolean {
    if (origin === undefined || origin === '' || this.#allowsAll) return true;
    if (origin.length > MAX_ORIGIN_CHARS) return false;
    const lower = origin.toLowerCase();
    return ORIGIN.test(lower) && this.#patterns.some((pattern) => pattern.test(lower));
  }
}

function compileGlob(glob: string): RegExp {
  let source = '';
  let braces = 0;
  const text = glob.toLowerCase().replace(/\*+/g, '*');
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    const classEnd = char === '[' ? text.indexOf(']', at + 2) : -1;
    if (classEnd !== -1) {
      source += characterClass(text.slice(at + 1, classEnd));
      at = classEnd;
    } else if (char === '*') source += '.*';
    else if (char === '?') source += '.';
    else if (char === '{' && text.includes('}', at)) {
      source += '(?:';
      braces += 1;
    } else if (char === '}' && braces > 0) {
      source += ')';
      braces -= 1;
    } else if (char === ',' && braces > 0) source += '|';
    else source += escapeForRegExp(char);
  }
  try {
    return new RegExp(`^${source}${')'.repeat(braces)}$`);
  } catch {
    throw new ConfigError(`client.allowed_origins holds a pattern that cannot be read: ${glob}`);
  }
}

function characterClass(members: string): string {
  const negated = members.startsWith('!') || members.startsWith('^');
  // An empty class would read as "anything" once negated.
  if (negated && members.length === 1) return `\\[${escapeForRegExp(members)}\\]`;
  const listed = (negated ? members.slice(1) : members).replace(/[\\\]^]/g, '\\$&');
  return `[${negated ? '^' : ''}${listed}]`;
}

function escapeForRegExp(char: string): string {
  return char.replace(/[.*+?^${}()|[\]\\/]/, '\\$&');
}
