// The floor for a Node server: `ws` reads, each publication becomes one frame in one Buffer, which is written to every
// subscriber's socket. Arguments: workers (1: this process serves; more: node:cluster, where no publication crosses
// workers), and `ack` to acknowledge publications. With `passed` one worker serves what a primary accepts and passes on,
// which does nothing else.
import cluster from 'node:cluster';
import { type IncomingMessage, createServer } from 'node:http';
import { createServer as createNetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { announce, listen } from './servers/announce.ts';

const workers = Number(process.argv[2] ?? 1);
const acknowledge = process.argv[3] === 'ack';
const isPassed = process.argv[3] === 'passed';

function serverFrame(payload: Buffer): Buffer {
  const length = payload.length;
  const headBytes = length < 126 ? 2 : 4;
  const frame = Buffer.allocUnsafe(headBytes + length);
  frame[0] = 0x81;
  if (length < 126) frame[1] = length;
  else {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  }
  payload.copy(frame, headBytes);
  return frame;
}

function serve(): void {
  const rooms = new Map<string, Set<Duplex>>();
  const wss = new WebSocketServer({ noServer: true, perMessageDeflate: false, clientTracking: false });
  const http = createServer();

  function onMessage(ws: WebSocket, socket: Duplex, joined: string[], text: string): void {
    const message: { s?: string; p?: string; d?: unknown } = JSON.parse(text);
    if (message.s !== undefined) {
      const room = rooms.get(message.s);
      if (room === undefined) rooms.set(message.s, new Set([socket]));
      else room.add(socket);
      joined.push(message.s);
      ws.send(JSON.stringify({ s: message.s }));
    } else if (message.p !== undefined) {
      const frame = serverFrame(Buffer.from(JSON.stringify({ c: message.p, d: message.d })));
      for (const subscriber of rooms.get(message.p) ?? []) subscriber.write(frame);
      if (acknowledge) ws.send('{"p":1}');
    }
  }

  http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    wss.handleUpgrade(request, socket, head, (ws) => {
      const joined: string[] = [];
      ws.on('message', (data: Buffer) => {
        onMessage(ws, socket, joined, data.toString());
      });
      ws.on('close', () => {
        for (const name of joined) {
          const room = rooms.get(name);
          room?.delete(socket);
          if (room?.size === 0) rooms.delete(name);
        }
      });
      ws.on('error', () => {
        ws.terminate();
      });
    });
  });
  if (isPassed) {
    process.on('message', (_message, socket: Socket) => http.emit('connection', socket));
    process.send?.('ready');
    return;
  }
  listen(http, (port) => {
    if (cluster.isPrimary) announce(port);
    else process.send?.({ port });
  });
}

function passOn(): void {
  const worker = cluster.fork();
  worker.once('message', () => {
    const server = createNetServer({ pauseOnConnect: true }, (socket) => worker.send('connection', socket));
    listen(server, announce);
  });
}

if (cluster.isWorker || (workers === 1 && !isPassed)) serve();
else if (isPassed) passOn();
else {
  let ready = 0;
  cluster.on('message', (_worker, message: { port: number }) => {
    if (++ready === workers) announce(message.port);
  });
  for (let i = 0; i < workers; i++) cluster.fork();
}
