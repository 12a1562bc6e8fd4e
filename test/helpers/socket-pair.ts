// Both ends of one TCP connection, for tests of what goes on below Node's streams.
import { once } from 'node:events';
import { createServer, connect, type Socket } from 'node:net';
import type { Test } from 'tap';
import { portOf } from './port-of.ts';

export interface SocketPair {
  readonly near: Socket;
  /** Reads nothing until told to. */
  readonly far: Socket;
}

/** Open until the test ends. */
export async function socketPair(t: Test): Promise<SocketPair> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const near = connect(portOf(server), '127.0.0.1');
  await once(near, 'connect');
  const far: unknown = (await accepted)[0];
  if (!isSocket(far)) throw new Error('no connection');
  t.teardown(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return { near, far };
}

function isSocket(value: unknown): value is Socket {
  return typeof value === 'object' && value !== null && 'resume' in value;
}
