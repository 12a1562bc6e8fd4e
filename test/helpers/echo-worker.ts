// A worker program for tests of the process side: HTTP that says who answered, upgrades that echo raw bytes.
import { openSync } from 'node:fs';
import { createServer } from 'node:http';
import { serveAssignedConnections } from '../../src/cluster/assignment/assigned-connections.ts';
import { WorkerLink } from '../../src/cluster/worker-link.ts';

interface EchoConfig {
  /** Slots whose worker ends before it is ready. */
  readonly crashingSlots?: readonly number[];
  readonly neverReady?: boolean;
  readonly requestTimeoutMs?: number;
}

const link = await WorkerLink.open();
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the test that forked it gave it
const config = (link.start.config ?? {}) as EchoConfig;
const { slot } = link.start;
if (config.crashingSlots?.includes(slot) === true) {
  link.fail('told to crash');
  process.exit(3);
}

const { requestTimeoutMs: requestTimeout } = config;
const server = createServer(
  requestTimeout === undefined
    ? {}
    : { requestTimeout, headersTimeout: requestTimeout, connectionsCheckingInterval: 50 },
);

function facts(url: string, bodyBytes: number): string {
  return JSON.stringify({ slot, pid: process.pid, url, bodyBytes });
}

server.on('request', (request, response) => {
  let bodyBytes = 0;
  request.on('data', (chunk: Buffer) => {
    bodyBytes += chunk.length;
  });
  request.on('end', () => {
    const url = request.url ?? '';
    if (url === '/hang') for (;;) Math.random();
    if (url === '/die') process.kill(process.pid, 'SIGKILL');
    if (url === '/exhaust') exhaustDescriptors();
    if (url.startsWith('/bind?')) link.connections.bindSid(url.slice('/bind?'.length));
    if (url.startsWith('/unbind?')) link.connections.unbindSid(url.slice('/unbind?'.length));
    if (url === '/collect') {
      void link.questions.collect('facts').then((answers) => response.end(JSON.stringify(answers)));
      return;
    }
    response.end(facts(url, bodyBytes));
  });
});

server.on('upgrade', (_request, socket, head) => {
  open.add(socket);
  socket.on('close', () => open.delete(socket));
  socket.on('error', () => undefined);
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Slot: ${slot}\r\nX-Pid: ${process.pid}\r\n\r\n`,
  );
  if (head.length > 0) socket.write(head);
  socket.pipe(socket);
});

const open = new Set<NodeJS.WritableStream & { destroy(): unknown }>();

function end(): void {
  for (const socket of open) socket.destroy();
  server.close();
  link.close();
}

function exhaustDescriptors(): void {
  try {
    for (;;) openSync('/dev/null', 'r');
  } catch {
    // EMFILE: that was the point.
  }
}

link.questions.answer('facts', () => ({ slot }));
link.onDrain(({ durationMs }) => {
  link.reportDraining(open.size, 0);
  setTimeout(end, durationMs / 10);
});
link.onHurry(end);
link.onStop(end);
const internal = createServer((_request, response) => response.end(String(slot)));
serveAssignedConnections(server, internal, link);
if (config.neverReady !== true) link.ready();
