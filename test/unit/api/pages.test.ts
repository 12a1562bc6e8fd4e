// The pages about the server API and the client protocol, against what the code says.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { z } from 'zod';
import { ApiErrors } from '../../../src/api/api-errors.ts';
import { CloseCauses } from '../../../src/protocol/close-causes.ts';
import { ReplyErrors } from '../../../src/protocol/reply-errors.ts';
import { UnsubscribeCodes } from '../../../src/protocol/unsubscribe-codes.ts';
import { documentedMethods } from '../../helpers/server-api.ts';

function page(name: string): string {
  return readFileSync(new URL(`../../../../docs/${name}`, import.meta.url), 'utf8');
}

/** Text below a heading, up to the next one. */
function section(text: string, heading: string): string {
  return text.split(/^#+ /mu).find((part) => part.startsWith(`${heading}\n`)) ?? '';
}

/** Cells of the table in a text, without its head. */
function rows(text: string): string[][] {
  const lines = text.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
}

function sorted<T extends { readonly code: number }>(table: Readonly<Record<string, T>>): T[] {
  return Object.values(table).toSorted((one, other) => one.code - other.code);
}

t.test('protocol.md: close codes, errors and unsubscribe codes', async (t) => {
  const text = page('protocol.md');
  t.strictSame(
    rows(section(text, 'Close codes')).map((row) => row.slice(0, 2)),
    sorted(CloseCauses).map(({ code, reason }) => [String(code), reason]),
  );
  t.strictSame(
    rows(section(text, 'Errors')).map((row) => row.slice(0, 3)),
    sorted(ReplyErrors).map(({ code, message, temporary }) => [
      String(code),
      message,
      temporary ? 'yes' : '',
    ]),
  );
  t.strictSame(
    rows(section(text, 'Unsubscribe codes')).map((row) => row.slice(0, 2)),
    sorted(UnsubscribeCodes).map(({ code, reason }) => [String(code), reason]),
  );
});

t.test('server-api.md: errors', async (t) => {
  t.strictSame(
    rows(section(page('server-api.md'), 'Answers')),
    Object.values(ApiErrors).map(({ code, message, httpStatus }) => [
      String(code),
      message,
      String(httpStatus),
    ]),
  );
});

t.test('server-api.md: every method with its fields, its result and an example', async (t) => {
  const text = page('server-api.md');
  const methods = documentedMethods();
  const headings = [...(text.split('\n# Methods\n')[1] ?? '').matchAll(/^## (.*)$/gmu)].map(
    ([, name]) => name,
  );
  t.strictSame(headings, [...methods.keys()]);
  for (const { name, summary, params, result } of methods.values()) {
    const about = section(text, name);
    t.ok(about.includes(summary), `${name}: what it does`);
    const { properties = {}, required = [] } = z.toJSONSchema(params, { io: 'input' });
    t.strictSame(
      rows(about),
      Object.entries(properties).map(([field, schema]) => [
        `\`${field}\``,
        required.includes(field) ? 'yes' : '',
        typeof schema === 'object' ? (schema.description ?? '') : '',
      ]),
      `${name}: its fields`,
    );
    const fields = Object.keys(z.toJSONSchema(result, { io: 'output' }).properties ?? {});
    const ending = fields.map((field) => `\`${field}\``).join(', ');
    t.ok(
      about.includes(fields.length === 0 ? 'The result is empty.' : `Result: ${ending}.`),
      `${name}: result`,
    );
    const [, called, body = ''] = /\/api\/(\w+) \\\n {2}-d '(.*)'/u.exec(about) ?? [];
    t.equal(called, name, `${name}: the example calls it`);
    t.ok(params.safeParse(JSON.parse(body)).success, `${name}: the example is valid`);
  }
});
