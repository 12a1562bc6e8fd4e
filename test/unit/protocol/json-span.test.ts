import t from 'tap';
import { elementSpans, memberSpan, memberSpans, stripNewlines } from '../../../src/protocol/json-span.ts';
import { below, pick, type Roll, seeded } from '../../helpers/random.ts';

const space = (roll: Roll): string =>
  roll() < 0.7
    ? ''
    : Array.from({ length: 1 + below(roll, 3) }, () => pick(roll, [' ', '\t', '\n', '\r'])).join('');

const STRINGS = [
  '',
  'a',
  'data',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '\\',
  '"',
  '\\"',
  '\n',
  'é',
  '😀',
  '\u2028',
  '__proto__',
];

/** A string as JSON, with escapes where none are needed now and then. */
function stringText(roll: Roll): string {
  const text = Array.from({ length: below(roll, 4) }, () => pick(roll, STRINGS)).join('');
  const plain = JSON.stringify(text);
  return roll() < 0.8
    ? plain
    : plain
        .replace(/[a-z]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
        .replaceAll(/\\\\u006e/g, '\\n');
}

/** Valid JSON with odd spacing, odd names and repeated keys. */
function jsonText(roll: Roll, depth: number): string {
  const s = (): string => space(roll);
  const kind = depth === 0 ? below(roll, 3) : below(roll, 5);
  if (kind === 0)
    return pick(roll, ['null', 'true', 'false', '0', '-1.5e+10', '12345678901234567890', '1E3']);
  if (kind < 3) return JSON.stringify(pick(roll, STRINGS));
  const count = below(roll, 4);
  if (kind === 3) {
    const items = Array.from({ length: count }, () => `${s()}${jsonText(roll, depth - 1)}${s()}`);
    return `[${items.length === 0 ? s() : items.join(',')}]`;
  }
  const members = Array.from(
    { length: count },
    () => `${s()}${stringText(roll)}${s()}:${s()}${jsonText(roll, depth - 1)}${s()}`,
  );
  return `{${members.length === 0 ? s() : members.join(',')}}`;
}

t.test(
  'members and elements are found as JSON.parse finds them, with the very text they were written in',
  async (t) => {
    let objects = 0;
    for (let seed = 1; seed <= 3_000; seed += 1) {
      const roll = seeded(seed);
      const text = `${space(roll)}${jsonText(roll, 4)}${space(roll)}`;
      const parsed: unknown = JSON.parse(text);
      if (Array.isArray(parsed)) {
        const spans = elementSpans(text);
        if (JSON.stringify(spans.map((span) => JSON.parse(span) as unknown)) !== JSON.stringify(parsed)) {
          t.fail(`seed ${seed}: elements of ${text}`);
        }
        if (!spans.every((span) => text.includes(span))) t.fail(`seed ${seed}: not as written`);
        t.equal(memberSpans(text).size, 0);
      } else if (typeof parsed === 'object' && parsed !== null) {
        objects += 1;
        const spans = memberSpans(text);
        const entries = Object.entries(parsed);
        if (spans.size !== entries.length) t.fail(`seed ${seed}: members of ${text}`);
        for (const [key, value] of entries) {
          const span = spans.get(key) ?? '';
          if (JSON.stringify(JSON.parse(span)) !== JSON.stringify(value))
            t.fail(`seed ${seed}: ${key} of ${text}`);
          if (memberSpan(text, [key]) !== span) t.fail(`seed ${seed}: ${key} of ${text}, found alone`);
          for (const [inner, innerValue] of Object.entries(Object(value))) {
            if (Array.isArray(value) || typeof value !== 'object') continue;
            const deep = memberSpan(text, [key, inner]) ?? '';
            if (JSON.stringify(JSON.parse(deep)) !== JSON.stringify(innerValue))
              t.fail(`seed ${seed}: ${key}.${inner}`);
          }
        }
        if (memberSpan(text, ['no such key']) !== undefined) t.fail(`seed ${seed}: found what is not there`);
      }
      const [all] = [memberSpan(text, [])];
      if (all !== text.trim()) t.fail(`seed ${seed}: the whole`);
      if (JSON.stringify(JSON.parse(stripNewlines(text))) !== JSON.stringify(parsed))
        t.fail(`seed ${seed}: stripped`);
    }
    t.ok(objects > 500, `${objects} objects among them`);
  },
);

t.test('the last of repeated keys counts, however it is written', async (t) => {
  const text = String.raw`{"data": 1, "d\u0061ta" : {"x":[1,2 ]}, "other":2}`;
  t.equal(memberSpan(text, ['data']), '{"x":[1,2 ]}');
  t.strictSame(Object.fromEntries(memberSpans(text)), { data: '{"x":[1,2 ]}', other: '2' });
});

t.test('values are not looked for in the wrong places', async (t) => {
  t.equal(memberSpan('[{"a":1}]', ['a']), undefined);
  t.equal(memberSpan('"a"', ['a']), undefined);
  t.equal(memberSpan('{"a":"{\\"b\\":1}"}', ['a', 'b']), undefined);
  t.equal(memberSpan('{"b":{"a":1}}', ['a']), undefined);
  t.strictSame(elementSpans('{"a":1}'), []);
});

t.test('depth is no burden', async (t) => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  t.equal(memberSpan(`{"a":${deep}}`, ['a'])?.length, 200_000);
});

t.test('line breaks are taken out, and nothing else', async (t) => {
  t.equal(stripNewlines('{"a":\r\n 1,\n\n"b":"x y"}'), '{"a": 1,"b":"x y"}');
  t.equal(stripNewlines('{"a":"\\n"}'), '{"a":"\\n"}');
});
