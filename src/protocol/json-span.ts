// Finds the raw text of members in JSON that is already known to be valid, so that payloads travel exactly as they were
// written: parsing and printing them again would round integers above 2^53.

interface Span {
  from: number;
  to: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACE = 0x7d;
const CLOSE_BRACKET = 0x5d;

/**
 * Raw text of the value at `path` (object members only), or undefined when there is none. Of repeated keys the last one
 * counts, as in JSON.parse. `text` must be valid JSON.
 */
export function memberSpan(text: string, path: readonly string[]): string | undefined {
  const span: Span = { from: skipSpace(text, 0), to: text.length };
  for (const key of path) {
    if (text.charCodeAt(span.from) !== OPEN_BRACE || !findMember(text, span, key)) return undefined;
  }
  return text.slice(span.from, path.length === 0 ? lastNonSpace(text, span.to) : span.to);
}

/** Raw texts of an array's elements; empty when `text` is no array. `text` must be valid JSON. */
export function elementSpans(text: string): string[] {
  const spans: string[] = [];
  let at = skipSpace(text, 0);
  if (text.charCodeAt(at) !== OPEN_BRACKET) return spans;
  at = skipSpace(text, at + 1);
  while (text.charCodeAt(at) !== CLOSE_BRACKET) {
    const end = skipValue(text, at);
    spans.push(text.slice(at, end));
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return spans;
}

/** Raw key-to-value texts of an object; empty when `text` is no object. `text` must be valid JSON. */
export function memberSpans(text: string): Map<string, string> {
  const spans = new Map<string, string>();
  const start = skipSpace(text, 0);
  if (text.charCodeAt(start) !== OPEN_BRACE) return spans;
  eachMember(text, start, (key, from, to) => spans.set(key, text.slice(from, to)));
  return spans;
}

/**
 * Line breaks end a message on the wire (client protocol §3.1). Valid JSON has them only between tokens, so that taking
 * them out changes nothing.
 */
export function stripNewlines(json: string): string {
  return json.includes('\n') || json.includes('\r') ? json.replace(/[\r\n]+/g, '') : json;
}

/** Narrows the span of an object to its member's value; false when it has none of this name. */
function findMember(text: string, span: Span, wanted: string): boolean {
  let isFound = false;
  let at = skipSpace(text, span.from + 1);
  while (at < text.length && text.charCodeAt(at) !== CLOSE_BRACE) {
    const keyAt = at;
    const keyEnd = skipString(text, at);
    at = skipToValue(text, keyEnd);
    const end = skipValue(text, at);
    if (isKey(text, keyAt, keyEnd, wanted)) {
      isFound = true;
      span.from = at;
      span.to = end;
    }
    at = skipToNext(text, end);
  }
  return isFound;
}

function isKey(text: string, from: number, to: number, wanted: string): boolean {
  // Nearly all keys are written as they are read.
  if (to - from - 2 === wanted.length && text.startsWith(wanted, from + 1)) return true;
  const raw = text.slice(from, to);
  return raw.includes('\\') && JSON.parse(raw) === wanted;
}

function eachMember(
  text: string,
  open: number,
  visit: (key: string, from: number, to: number) => void,
): void {
  let at = skipSpace(text, open + 1);
  while (at < text.length && text.charCodeAt(at) !== CLOSE_BRACE) {
    const keyEnd = skipString(text, at);
    const rawKey = text.slice(at + 1, keyEnd - 1);
    const key = rawKey.includes('\\') ? String(JSON.parse(text.slice(at, keyEnd))) : rawKey;
    at = skipToValue(text, keyEnd);
    const end = skipValue(text, at);
    visit(key, at, end);
    at = skipToNext(text, end);
  }
}

function skipToValue(text: string, keyEnd: number): number {
  const at = skipSpace(text, keyEnd);
  return text.charCodeAt(at) === COLON ? skipSpace(text, at + 1) : at;
}

function skipToNext(text: string, end: number): number {
  const at = skipSpace(text, end);
  return text.charCodeAt(at) === COMMA ? skipSpace(text, at + 1) : at;
}

function skipValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return skipString(text, start);
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return skipScalar(text, start);
  let depth = 0;
  let at = start;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = skipString(text, at);
      continue;
    }
    at += 1;
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return at;
}

function skipString(text: string, start: number): number {
  let at = text.indexOf('"', start + 1);
  while (at !== -1 && isEscaped(text, at)) at = text.indexOf('"', at + 1);
  return at === -1 ? text.length : at + 1;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes += 1;
  return backslashes % 2 === 1;
}

function skipScalar(text: string, start: number): number {
  let at = start;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || isSpace(code)) break;
    at += 1;
  }
  return at;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (isSpace(text.charCodeAt(at))) at += 1;
  return at;
}

function lastNonSpace(text: string, end: number): number {
  let at = end;
  while (at > 0 && isSpace(text.charCodeAt(at - 1))) at -= 1;
  return at;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
