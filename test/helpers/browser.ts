// A real browser without a window, on a page that a test wrote: the page has the official client, and reports to the test.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { Child } from './child.ts';
import { Inbox } from './inbox.ts';
import { portOf } from './port-of.ts';
import type { Scope } from './scope.ts';
import { tempDir } from './temp-dir.ts';
import { within } from './wait-for.ts';

const PROGRAMS = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'] as const;
/** A browser comes up, perhaps on a machine that does other things. */
const DEADLINE_MS = 90_000;
// Tests run from the root of the repository.
const CLIENT_FILE = 'node_modules/centrifuge/dist/centrifuge.js';

/** The Chromium of this machine. */
function findBrowser(): string {
  const directories = (process.env['PATH'] ?? '').split(':');
  const candidates = PROGRAMS.flatMap((program) => directories.map((directory) => `${directory}/${program}`));
  const found = candidates.find((candidate) => existsSync(candidate));
  if (found === undefined) throw new Error('no Chromium: apt-get install chromium-headless-shell');
  return found;
}

export class Page {
  readonly #browser: Child;
  /** What the page has said and nobody has waited for. */
  readonly said: Inbox<string>;

  constructor(browser: Child, said: Inbox<string>) {
    this.#browser = browser;
    this.said = said;
  }

  /** Ends the browser, which a script has started: the signal goes to both. */
  async close(): Promise<void> {
    process.kill(-this.#browser.pid, 'SIGTERM');
    await within('the end of the browser', this.#browser.exited);
  }

  /** Resolves when the page has called `say` with this text. */
  async says(word: string): Promise<void> {
    await this.said
      .next(`the page to say ${word}`, (each) => each === word, DEADLINE_MS)
      .catch((error: unknown) => {
        throw new Error(`it said ${JSON.stringify(this.said.items)}\n${this.#browser.output}`, {
          cause: error,
        });
      });
  }
}

/** Opens a page that runs this module; `say(text)` and `Centrifuge` are there for it. Any certificate is good enough. */
export async function openPage(scope: Scope, script: string): Promise<Page> {
  const said = new Inbox<string>();
  const client = await readFile(CLIENT_FILE);
  const html = `<!doctype html><meta charset="utf-8"><script src="/client.js"></script><script type="module">
    const say = (text) => fetch('/say', { method: 'POST', body: text });
    addEventListener('unhandledrejection', ({ reason }) => say('failed: ' + reason));
    ${script}
    </script>`;
  const hear = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    said.put(await text(request));
    response.end();
  };
  const server = createServer((request, response) => {
    if (request.method === 'POST') {
      void hear(request, response);
    } else if (request.url === '/client.js') {
      response.setHeader('Content-Type', 'text/javascript').end(client);
    } else if (request.url === '/') {
      response.setHeader('Content-Type', 'text/html').end(html);
    } else {
      response.writeHead(404).end();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
  const profile = `--user-data-dir=${await tempDir(scope)}`;
  const address = `http://localhost:${portOf(server)}/`;
  const debugging = '--remote-debugging-port=0';
  const browser = new Child(scope, findBrowser(), [
    ...flags,
    debugging,
    profile,
    '--ignore-certificate-errors',
    address,
  ]);
  return new Page(browser, said);
}
