// socket.io as its manual sets it up: websocket only; with more than one worker, the sticky primary and the cluster
// adapter. Arguments: workers; `ack` to acknowledge publications, or `polling` to let clients begin as they do by default.
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { createAdapter, setupPrimary } from '@socket.io/cluster-adapter';
import { setupMaster, setupWorker } from '@socket.io/sticky';
import { Server } from 'socket.io';
import { announce, listen } from './servers/announce.ts';
import { attachRooms } from './servers/rooms.ts';

const workers = Number(process.argv[2] ?? 1);
const acknowledge = process.argv[3] === 'ack';

const transports =
  process.argv[3] === 'polling' ? (['polling', 'websocket'] as const) : (['websocket'] as const);
const options = { transports: [...transports], serveClient: false, perMessageDeflate: false };

if (workers === 1) {
  const http = createServer();
  attachRooms(new Server(http, options), acknowledge);
  listen(http, announce);
} else if (cluster.isPrimary) {
  cluster.setupPrimary({ serialization: 'advanced' });
  const http = createServer();
  setupMaster(http, { loadBalancingMethod: 'least-connection' });
  setupPrimary();
  let ready = 0;
  cluster.on('message', (_worker, message: { ready?: boolean }) => {
    if (message.ready !== true || ++ready < workers) return;
    listen(http, announce);
  });
  for (let i = 0; i < workers; i++) cluster.fork();
} else {
  const io = new Server(createServer(), options);
  io.adapter(createAdapter());
  setupWorker(io);
  attachRooms(io, acknowledge);
  process.send?.({ ready: true });
}
