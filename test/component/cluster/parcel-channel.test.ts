// Connections over a channel, one at a time: what cannot be sent holds up nobody.
import { EventEmitter } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import { type ChannelEnd, ParcelChannel } from '../../../src/cluster/moves/parcel-channel.ts';
import { freeze } from '../../../src/util/native-handle.ts';
import { portOf } from '../../helpers/port-of.ts';
import type { Scope } from '../../helpers/scope.ts';

/** Fails to send the first of all connections, as Node does with one that has been closed. */
class Channel extends EventEmitter implements ChannelEnd {
  readonly connected = true;
  readonly sent: unknown[] = [];

  send(
    message: unknown,
    _handle: unknown,
    _options: undefined,
    told: (error: Error | null) => void,
  ): boolean {
    this.sent.push(message);
    process.nextTick(told, this.sent.length === 1 ? new Error('EBADF') : null);
    return true;
  }
}

async function connection(scope: Scope): Promise<Socket> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const client = connect(portOf(server), '127.0.0.1');
  const socket = await accepted;
  server.close();
  scope.teardown(() => {
    client.destroy();
    socket.destroy();
  });
  return socket;
}

t.test('one that cannot be sent is refused, and the next one follows', async (t) => {
  const end = new Channel();
  const channel = new ParcelChannel({ end, onMessage: () => undefined, onEnd: () => undefined });
  const said: string[] = [];
  for (const name of ['first', 'second', 'third']) {
    const socket = await connection(t);
    channel.deliver({
      message: { name },
      handle: () => freeze(socket),
      delivered: () => said.push(`${name} delivered`),
      refused: () => said.push(`${name} refused`),
    });
  }
  await new Promise(setImmediate);
  end.emit('internalMessage', { cmd: 'NODE_HANDLE_ACK' });
  end.emit('internalMessage', { cmd: 'NODE_HANDLE_NACK' });
  await channel.whenEmpty();
  t.same(end.sent, [{ name: 'first' }, { name: 'second' }, { name: 'third' }]);
  t.same(said, ['first refused', 'second delivered', 'third refused']);
  channel.close();
});
