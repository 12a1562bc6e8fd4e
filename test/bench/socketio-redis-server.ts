// One host of several: socket.io, websocket only, linked by Redis through the adapter that its manual names. Arguments: port of
// Redis, `pubsub` or `streams`, and `ack` to acknowledge publications.
import { createServer } from 'node:http';
import { createAdapter as createPubSubAdapter } from '@socket.io/redis-adapter';
import { createAdapter as createStreamsAdapter } from '@socket.io/redis-streams-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { announce, listen } from './servers/announce.ts';
import { attachRooms } from './servers/rooms.ts';

const redisPort = Number(process.argv[2]);
const kind = process.argv[3];
const acknowledge = process.argv[4] === 'ack';

function client(): Redis {
  // The adapters know the shapes of RESP2.
  return new Redis({ port: redisPort, host: '127.0.0.1', replyMapping: 'legacy' });
}

async function untilReady(redis: Redis): Promise<void> {
  if (redis.status === 'ready') return;
  await new Promise<void>((resolve, reject) => {
    redis.once('ready', resolve).once('error', reject);
  });
}

const publisher = client();
await untilReady(publisher);
const options = { transports: ['websocket' as const], serveClient: false, perMessageDeflate: false };
const http = createServer();
if (kind === 'streams') {
  attachRooms(new Server(http, { ...options, adapter: createStreamsAdapter(publisher) }), acknowledge);
} else {
  const subscriber = client();
  await untilReady(subscriber);
  attachRooms(
    new Server(http, { ...options, adapter: createPubSubAdapter(publisher, subscriber) }),
    acknowledge,
  );
}
listen(http, announce);
