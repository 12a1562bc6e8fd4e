// Serves the chat page and the official client that it uses.
import { readFile } from 'node:fs/promises';

const FILES = {
  '/': ['text/html; charset=utf-8', new URL('chat.html', import.meta.url)],
  '/centrifuge.js': [
    'text/javascript; charset=utf-8',
    new URL('../../node_modules/centrifuge/dist/centrifuge.js', import.meta.url),
  ],
};

/** Answers GET requests for the page. `gatewayUrl()` is where its client connects. */
export async function servePage(request, response, gatewayUrl) {
  if (request.url === '/settings.json') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ url: gatewayUrl() }));
    return;
  }
  const file = FILES[request.url];
  if (file === undefined) {
    response.writeHead(404).end();
    return;
  }
  response.setHeader('content-type', file[0]);
  response.end(await readFile(file[1]));
}
