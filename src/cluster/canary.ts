// A WebSocket of the primary's own, moved between two workers in the middle of a frame before any client is: what does not
// work today, with this Node and these versions, shows here.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { rmSync } from 'node:fs';
import { HoldfastError, messageOf } from '../util/errors.ts';
import { freeze } from '../util/native-handle.ts';
import type { MovePeer } from './moves/move-relay.ts';
import type { OrderedMoves } from './moves/ordered-moves.ts';
import type { WorkerProcess } from './worker-process.ts';

export interface CanaryDeps {
  /** For a UNIX socket of a moment. */
  readonly socketPath: string;
  /** Of the WebSocket endpoint. */
  readonly target: string;
  readonly moves: OrderedMoves;
  /** One connection more for this worker. */
  readonly onAssigned: (process: WorkerProcess) => void;
}

const TIMEOUT_MS = 5000;
const TOO_LONG = 'it takes too long';
const SID_BYTES = 15;
/** A ping with a zero mask, and the pong that answers it. */
const PING = Buffer.concat([Buffer.from([0x89, 0x86, 0, 0, 0, 0]), Buffer.from('canary')]);
const PONG = Buffer.concat([Buffer.from([0x8a, 0x06]), Buffer.from('canary')]);
/** Within the payload. */
const CUT_AT = 9;

export class Canary {
  readonly #deps: CanaryDeps;

  constructor(deps: CanaryDeps) {
    this.#deps = deps;
  }

  /** Rejects when the connection does not live on. */
  async fly(from: WorkerProcess, to: MovePeer): Promise<void> {
    const pair = await socketPair(this.#deps.socketPath);
    const sid = randomBytes(SID_BYTES).toString('base64url');
    const timer = setTimeout(() => {
      pair.near.destroy(new HoldfastError('HOLDFAST_CANARY', TOO_LONG));
      // A worker that hangs says nothing more.
      this.#deps.moves.giveUp(TOO_LONG);
    }, TIMEOUT_MS);
    const heard = new Heard(pair.near);
    try {
      this.#assign(from, pair.far, sid, (error) => pair.near.destroy(error));
      await heard.until((bytes) => bytes.includes('\r\n\r\n'));
      if (!heard.bytes.toString('latin1').startsWith('HTTP/1.1 101')) {
        throw new HoldfastError('HOLDFAST_CANARY', 'the old worker takes no connection');
      }
      pair.near.write(PING.subarray(0, CUT_AT));
      await this.#move(from, to, sid);
      pair.near.write(PING.subarray(CUT_AT));
      await heard.until((bytes) => bytes.includes(PONG));
    } catch (error) {
      const reason = messageOf(error);
      throw new HoldfastError('HOLDFAST_CANARY', `a connection could not be moved to it: ${reason}`, {
        cause: error,
      });
    } finally {
      clearTimeout(timer);
      pair.near.destroy();
      pair.far.destroy();
    }
  }

  #assign(
    worker: WorkerProcess,
    socket: Socket,
    sid: string,
    onRefused: (error: HoldfastError) => void,
  ): void {
    const separator = this.#deps.target.includes('?') ? '&' : '?';
    const head = Buffer.from(
      `GET ${this.#deps.target}${separator}sid=${sid} HTTP/1.1\r\nHost: canary\r\nConnection: Upgrade\r\n` +
        `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
    );
    this.#deps.onAssigned(worker);
    worker.deliver({
      message: { type: 'assign', door: 'public', head, isClient: true, isOwn: true },
      handle: () => freeze(socket),
      delivered: () => socket.destroy(),
      refused: () =>
        onRefused(new HoldfastError('HOLDFAST_CANARY', 'the old worker has no room for another')),
    });
  }

  async #move(from: WorkerProcess, to: MovePeer, sid: string): Promise<void> {
    const { moved, ended } = await this.#deps.moves.run(from, to, () => undefined, { sid });
    if (moved !== 1) throw new HoldfastError('HOLDFAST_CANARY', ended || 'it could not be moved');
  }
}

/** Everything that came so far. */
class Heard {
  bytes: Buffer = Buffer.alloc(0);
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.bytes = Buffer.concat([this.bytes, chunk]);
    });
  }

  async until(isEnough: (bytes: Buffer) => boolean): Promise<void> {
    while (!isEnough(this.bytes)) {
      if (this.#socket.destroyed) {
        throw this.#socket.errored ?? new HoldfastError('HOLDFAST_CANARY', 'it was closed');
      }
      await Promise.race([once(this.#socket, 'data'), once(this.#socket, 'close')]);
    }
  }
}

/** Two ends of a connection of this process with itself. */
async function socketPair(path: string): Promise<{ readonly near: Socket; readonly far: Socket }> {
  rmSync(path, { force: true });
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  server.listen(path);
  await once(server, 'listening');
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const near = connect(path);
  try {
    const [far] = await Promise.all([accepted, once(near, 'connect')]);
    return { near, far };
  } finally {
    server.close();
  }
}
