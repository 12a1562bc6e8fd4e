// The application's HTTP back end: keeps every call, answers as the test says.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { portOf } from './port-of.ts';
import type { Scope } from './scope.ts';

export interface BackendCall {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  /** Port of the peer: the same for calls on one connection. */
  readonly peerPort: number;
}

/** An object is answered as JSON; a function does what it likes. */
export type BackendAnswer = object | ((call: BackendCall, response: ServerResponse) => void);

export class Backend {
  readonly server: Server;
  readonly calls: BackendCall[] = [];
  answer: BackendAnswer = { result: {} };

  private constructor(server: Server) {
    this.server = server;
  }

  static async start(scope: Scope): Promise<Backend> {
    const server = createServer();
    const backend = new Backend(server);
    server.on('request', (request, response) => void backend.#take(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    scope.teardown(() => {
      server.close();
      server.closeAllConnections();
    });
    return backend;
  }

  get url(): string {
    return `http://127.0.0.1:${portOf(this.server)}`;
  }

  /** The body of the latest call, parsed. */
  get lastBody(): unknown {
    return JSON.parse(this.calls.at(-1)?.text ?? 'null');
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      // The caller gave up.
      return;
    }
    const call = {
      path: request.url ?? '',
      headers: request.headers,
      text: Buffer.concat(chunks).toString('utf8'),
      peerPort: request.socket.remotePort ?? 0,
    };
    this.calls.push(call);
    if (typeof this.answer === 'function') this.answer(call, response);
    else response.setHeader('content-type', 'application/json').end(JSON.stringify(this.answer));
  }
}

/** Answers with this body, as it stands. */
export function raw(body: string, status = 200): BackendAnswer {
  return (_, response) => {
    response.statusCode = status;
    response.end(body);
  };
}
