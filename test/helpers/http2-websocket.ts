// A websocket in a stream of HTTP/2 (RFC 8441), by hand: what browsers do when a server offers it.
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { clientFrame } from './raw-socket.ts';
import type { Scope } from './scope.ts';
import { waitFor } from './wait-for.ts';
import type { WssTarget } from './wss-burst.ts';

/** One TLS connection, once the server has said that it takes websockets. */
export async function connectHttp2(
  scope: Scope,
  { port, certificate }: WssTarget,
): Promise<ClientHttp2Session> {
  const session = connect(`https://localhost:${port}`, { ca: certificate });
  scope.teardown(() => session.destroy());
  // A reset is one of the ends that tests expect.
  session.on('error', () => undefined);
  await once(session, 'remoteSettings');
  if (session.remoteSettings.enableConnectProtocol !== true)
    throw new Error('no websockets over HTTP/2 here');
  return session;
}

export class Http2WebSocket {
  readonly #stream: ClientHttp2Stream;
  /** Texts of all frames so far; each is short. */
  readonly messages: string[] = [];
  readonly status: Promise<number>;
  closed = false;
  #input: Buffer = Buffer.alloc(0);

  constructor(session: ClientHttp2Session, path = '/connection/websocket') {
    this.#stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'https',
      ':path': path,
      ':authority': 'localhost',
      'sec-websocket-version': '13',
    });
    this.status = new Promise((resolve) => {
      this.#stream.on('response', (headers) => resolve(Number(headers[':status'])));
      this.#stream.on('close', () => {
        this.closed = true;
        resolve(0);
      });
    });
    this.#stream.on('error', () => undefined);
    this.#stream.on('data', (bytes: Buffer) => this.#read(bytes));
  }

  send(command: unknown): void {
    this.#stream.write(clientFrame(JSON.stringify(command)));
  }

  /** The first message that has this in it. */
  heard(text: string): Promise<string> {
    return waitFor(`a message with ${text}`, () => this.messages.find((message) => message.includes(text)));
  }

  #read(bytes: Buffer): void {
    this.#input = Buffer.concat([this.#input, bytes]);
    for (;;) {
      const short = (this.#input[1] ?? 0) & 0x7f;
      const start = short === 126 ? 4 : 2;
      if (this.#input.length < start) return;
      const end = start + (short === 126 ? this.#input.readUInt16BE(2) : short);
      if (this.#input.length < end) return;
      this.messages.push(this.#input.toString('utf8', start, end));
      this.#input = this.#input.subarray(end);
    }
  }
}
