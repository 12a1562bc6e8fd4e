// socket.io with connection state recovery over the Redis Streams adapter, the one of its adapters with which that outlives
// the process. Arguments: port of Redis, port to listen on. Everybody is in one room.
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-streams-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { announce } from './servers/announce.ts';
import { ROOM } from './servers/recovering.ts';

const redis = new Redis({ port: Number(process.argv[2]), host: '127.0.0.1', replyMapping: 'legacy' });
const http = createServer();
const io = new Server(http, {
  transports: ['websocket'],
  serveClient: false,
  connectionStateRecovery: { maxDisconnectionDuration: 120_000 },
  adapter: createAdapter(redis, { maxLen: 100_000 }),
});
io.on('connection', (socket) => {
  if (!socket.recovered) void socket.join(ROOM);
});
process.once('SIGTERM', () => {
  // Sessions are written when the clients are told; what is under way to Redis is given a moment.
  void io.close().then(() => setTimeout(() => process.exit(0), 200));
});
const port = Number(process.argv[3]);
http.listen(port, '127.0.0.1', 4096, () => announce(port));
