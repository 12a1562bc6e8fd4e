// The examples as a newcomer starts them, with official clients that chat.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { z } from 'zod';
import { OfficialClient, OfficialSubscription } from '../helpers/centrifuge.ts';
import { Child } from '../helpers/child.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { waitFor } from '../helpers/wait-for.ts';

const settingsSchema = z.object({ url: z.string() });
const lineSchema = z.object({
  notice: z.string().optional(),
  from: z.string().optional(),
  text: z.string().optional(),
});

/** The first one may have to build the program. */
const START_DEADLINE_MS = 90_000;

async function chat(t: Test, example: string): Promise<void> {
  const start = fileURLToPath(new URL(`../../../examples/${example}/start.mjs`, import.meta.url));
  // Without what the test runner would load into it: it may have to run the compiler.
  const child = new Child(t, 'env', ['-u', 'NODE_OPTIONS', process.execPath, start], {
    env: {
      PAGE_PORT: '0',
      HOLDFAST_HTTP_SERVER_PORT: '0',
      HOLDFAST_WORKERS: '2',
      HOLDFAST_CONTROL_SOCKET: join(await tempDir(t), 'control.sock'),
    },
  });
  const page = await child.waitUntil(
    'the address of the page',
    () => /^chat: (\S+)$/m.exec(child.output)?.[1],
    START_DEADLINE_MS,
  );
  t.match(await (await fetch(page)).text(), '<title>Chat</title>');
  t.equal((await fetch(`${page}/centrifuge.js`)).status, 200);
  t.equal((await fetch(`${page}/unknown`)).status, 404);
  const settings: unknown = await (await fetch(`${page}/settings.json`)).json();
  const { url } = settingsSchema.parse(settings);

  const come = async (name: string): Promise<OfficialClient> => {
    // As a browser would: with the origin of the page.
    const client = new OfficialClient(t, url, {
      options: { data: { name } },
      socket: { headers: { origin: page } },
    });
    client.client.connect();
    t.match(await client.next('connected'), { data: { welcome: `Welcome, ${name}.` } });
    return client;
  };
  const ann = await come('Ann');
  const annLobby = await ann.subscribe('chat:lobby');
  const bob = await come('Bob');
  const bobLobby = await bob.subscribe('chat:lobby');
  t.same((await ann.client.rpc('who', null)).data, ['Ann', 'Bob']);

  await annLobby.subscription.publish({ text: 'hello' });
  await annLobby.subscription.publish({ text: 'buy SPAM' });
  await bobLobby.subscription.publish({ text: 'hi' });
  await t.rejects(bobLobby.subscription.publish({ text: ' ' }), { code: 1002 });
  const said = (): string[] =>
    annLobby.publications.map((data) => {
      const { notice, from, text } = lineSchema.parse(data);
      return notice ?? `${from}: ${text}`;
    });
  bob.client.disconnect();
  await waitFor('his leaving', () => said().includes('Bob left'));
  t.same(said(), ['Bob came in', 'Ann: hello', 'Bob: hi', 'Bob left']);
  t.same((await ann.client.rpc('who', null)).data, ['Ann']);
  const { publications } = await annLobby.subscription.history({ limit: 20 });
  t.equal(publications.length, 5, 'her own coming in included');

  const elsewhere = new OfficialSubscription(ann.client.newSubscription('chat:elsewhere'));
  elsewhere.subscription.subscribe();
  t.match(await elsewhere.next('unsubscribed'), { code: 103 });
  const stranger = new OfficialClient(t, url, { options: { data: { name: '<b>' } } });
  stranger.client.connect();
  t.match(await stranger.next('disconnected'), { code: 1001 });
  t.match(await child.stop(), { code: 0 });
}

t.test('chat with an app module', (t) => chat(t, 'chat-app-module'));
t.test('chat with webhooks', (t) => chat(t, 'chat-webhooks'));
