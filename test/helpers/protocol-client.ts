// A bare client of the JSON protocol: it sends what it is told, keeps everything that comes, and misses nothing.
import { type ClientOptions, WebSocket } from 'ws';
import { deferred } from './deferred.ts';
import { Inbox } from './inbox.ts';
import type { Scope } from './scope.ts';
import { within } from './wait-for.ts';

export type Json = Readonly<Record<string, unknown>>;

export interface CloseFrame {
  readonly code: number;
  readonly reason: string;
}

export interface ProtocolClientOptions extends ClientOptions {
  /** Answers pings by itself (the default). */
  readonly pong?: boolean;
}

export class ProtocolClient {
  readonly socket: WebSocket;
  /** All replies and pushes in the order of their arrival, pings included. */
  readonly received: Json[] = [];
  readonly #pushes = new Inbox<Json>();
  readonly #replies = new Inbox<Json>();
  readonly closed: Promise<CloseFrame>;
  pings = 0;
  #nextId = 1;

  private constructor(socket: WebSocket, pong: boolean) {
    this.socket = socket;
    const { promise, resolve } = deferred<CloseFrame>();
    this.closed = promise;
    socket.on('close', (code, reason) => {
      resolve({ code, reason: reason.toString() });
      const end = `the connection was closed: ${code} ${reason.toString()}`;
      this.#replies.end(end);
      this.#pushes.end(end);
    });
    socket.on('message', (data: Buffer) => {
      for (const line of data.toString().split('\n')) {
        if (line !== '') this.#receive(line, pong);
      }
    });
  }

  /** Resolves when the upgrade is through; rejects with the HTTP status when it is refused. */
  static async open(scope: Scope, url: string, options: ProtocolClientOptions = {}): Promise<ProtocolClient> {
    const { pong = true, ...rest } = options;
    const socket = new WebSocket(url, rest);
    scope.teardown(() => {
      socket.terminate();
    });
    const client = new ProtocolClient(socket, pong);
    const opened = new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    await within('the upgrade', opened);
    // Later errors end in `close`, which is what tests look at.
    socket.on('error', () => undefined);
    return client;
  }

  /** Opens, sends the connect command, and expects it to succeed. */
  static async connected(scope: Scope, url: string, connect: Json = {}): Promise<ProtocolClient> {
    const client = await ProtocolClient.open(scope, url);
    const reply = await client.command('connect', connect);
    if (reply['connect'] === undefined) throw new Error(`not connected: ${JSON.stringify(reply)}`);
    return client;
  }

  /** Sends one command and resolves to its reply, be it a result or an error. */
  command(kind: string, params: Json = {}): Promise<Json> {
    const id = this.#nextId++;
    this.send({ id, [kind]: params });
    return this.reply(id);
  }

  reply(id: number): Promise<Json> {
    return this.#replies.next(`the reply to command ${id}`, (reply) => reply['id'] === id);
  }

  send(...commands: readonly Json[]): void {
    this.sendText(commands.map((command) => JSON.stringify(command)).join('\n'));
  }

  sendText(text: string): void {
    this.socket.send(text);
  }

  /** The content of the next push that matches, such as `{ channel, pub }`. */
  push(what: string, matches: (push: Json) => boolean = () => true, deadlineMs?: number): Promise<Json> {
    return this.#pushes.next(what, matches, deadlineMs);
  }

  /** The next publication of a channel. */
  async publication(channel: string, deadlineMs?: number): Promise<Json> {
    const matches = (push: Json): boolean => push['channel'] === channel && isJson(push['pub']);
    const push = await this.push(`a publication in ${channel}`, matches, deadlineMs);
    return isJson(push['pub']) ? push['pub'] : {};
  }

  closeFrame(deadlineMs?: number): Promise<CloseFrame> {
    return within('the close of the connection', this.closed, deadlineMs);
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.closeFrame();
  }

  #receive(line: string, pong: boolean): void {
    const message: unknown = JSON.parse(line);
    if (!isJson(message)) throw new Error(`not an object: ${line}`);
    this.received.push(message);
    if (Object.keys(message).length === 0) {
      this.pings += 1;
      if (pong && this.socket.readyState === WebSocket.OPEN) this.sendText('{}');
    } else if (isJson(message['push'])) {
      this.#pushes.put(message['push']);
    } else {
      this.#replies.put(message);
    }
  }
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
