import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { resolveConfig } from '../../../src/config/load.ts';
import { listOptions } from '../../../src/config/options.ts';
import { defaultTree, jsonSchemaText, referencePage } from '../../../src/config/reference.ts';

// Tests run from the root of the repository.
const docs = join(process.cwd(), 'docs');

t.test('the generated pages are up to date (npm run docs)', async (t) => {
  t.equal(readFileSync(join(docs, 'configuration.md'), 'utf8'), referencePage());
  t.equal(readFileSync(join(docs, 'configuration.schema.json'), 'utf8'), jsonSchemaText());
});

t.test('the page has a row for every option', async (t) => {
  const page = referencePage();
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  t.equal(rows.length, listOptions().options.length);
  t.match(page, '| `port` | port | `8000` | `HOLDFAST_HTTP_SERVER_PORT` |');
  t.match(page, '| `key` | secret | empty | `HOLDFAST_HTTP_API_KEY` |');
  t.match(page, '| `name` | text | required |');
  t.match(page, '## `channel.namespaces[]`');
});

t.test('the schema for editors keeps what a file may say', async (t) => {
  const schema: unknown = JSON.parse(jsonSchemaText());
  t.match(schema, {
    type: 'object',
    additionalProperties: false,
    properties: {
      $schema: { type: 'string' },
      client: { properties: { ping_interval: { type: 'string', default: '25s' } } },
      http_api: { properties: { key: { writeOnly: true } } },
      log: { properties: { level: { enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'none'] } } },
    },
  });
});

t.test('the tree of defaults is what no file at all means', async (t) => {
  const tree = defaultTree();
  t.match(tree, { workers: 0, client: { ping_interval: '25s', token: { hmac_secret_key: '' } } });
  t.same(
    resolveConfig({ environment: {} }, { tree, locate: () => 'test' }),
    resolveConfig({ environment: {} }, undefined),
  );
});
