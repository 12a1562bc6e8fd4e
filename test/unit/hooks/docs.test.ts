// The pages about hooks against the code.
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { HANDLERS, loadApp } from '../../../src/hooks/app/load-app.ts';
import { AppGateway } from '../../../src/app/app-gateway.ts';
import { listOptions } from '../../../src/config/options.ts';
import { BREAKER_POLICY } from '../../../src/hooks/webhooks/webhook.ts';
import { noticeJson } from '../../../src/hooks/notices/notice-json.ts';
import { tempDir } from '../../helpers/temp-dir.ts';

const app = readFileSync('docs/app.md', 'utf8');
const webhooks = readFileSync('docs/webhooks.md', 'utf8');

t.test('every handler and every method of the gateway is on the page, and no other', async (t) => {
  const handlers = app.slice(app.indexOf('## Handlers'), app.indexOf('## Saying no'));
  const documented = Array.from(handlers.matchAll(/^\| `(\w+)\(/gm), ([, name]) => name);
  t.same(new Set(documented), new Set<unknown>(HANDLERS));
  const methods = Object.getOwnPropertyNames(AppGateway.prototype).filter((name) => name !== 'constructor');
  const gateway = app.slice(app.indexOf('## The gateway'));
  const rows = gateway.split('\n').filter((line) => line.startsWith('| `'));
  const listed = rows.flatMap((row) =>
    Array.from(row.split(' | ')[0]?.matchAll(/`(\w+)\(/g) ?? [], ([, name]) => name),
  );
  t.same(new Set(listed), new Set(methods));
});

t.test('the example on the page is an app module', async (t) => {
  const [, source = ''] = /```js\n(import .*?)```/s.exec(app) ?? [];
  const exports = new URL('../../../src/hooks/app/public.js', import.meta.url).href;
  const path = join(await tempDir(t), 'app.mjs');
  await writeFile(path, source.replace("'holdfast/app'", `'${exports}'`));
  t.same(Object.keys(await loadApp(path)), ['connect', 'subscribe', 'publish', 'rpc']);
});

t.test('figures and members on the page of webhooks', async (t) => {
  t.match(webhooks, `After ${BREAKER_POLICY.threshold} outages in a row`);
  t.match(webhooks, `up to ${BREAKER_POLICY.maxOpenMs / 1000}\nseconds`);
  const subject = {
    client: '',
    user: '',
    transport: '',
    protocol: 'json' as const,
    meta: undefined,
    headers: {},
    emulatedHeaders: {},
  };
  const form = { id: '', node: '', includeMeta: false };
  const notice = { kind: 'unsubscribe', timeMs: 0, subject, channel: '', code: 0, reason: '' } as const;
  const [, example = ''] = /```json\n(\{\n {2}"events".*?)```/s.exec(webhooks) ?? [];
  const { events }: { events: object[] } = JSON.parse(example);
  t.same(Object.keys(events[0] ?? {}), Object.keys(JSON.parse(noticeJson(notice, form))));
  const names = listOptions().options.map(({ path }) => path.at(-1) ?? '');
  for (const [, name = ''] of webhooks.matchAll(/`((?:batch|queue|retry|flush)_\w+)`/g)) {
    t.ok(names.includes(name), `${name} is an option`);
  }
});
