// Takes the commands of HTTP-streaming and SSE clients and brings them to the process that has the connection (client
// protocol §10): any worker of any host may be asked.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isNodeName, type NodeBus } from '../engine/node-bus.ts';
import { decodeEmulationRequest, type EmulationRequest } from '../protocol/emulation-request.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { UnavailableError } from '../util/errors.ts';
import type { Cors } from './cors.ts';
import { digestOf, type EmulatedSessions } from './emulated-sessions.ts';
import type { RouteGroup } from './http-server.ts';
import { encodingOf } from './media-type.ts';

export interface EmulationDeps {
  readonly bus: NodeBus;
  readonly sessions: EmulatedSessions;
  readonly cors: Cors;
}

export interface EmulationOptions {
  readonly path: string;
  readonly maxBodyBytes: number;
}

const KIND = 'emulation';

export class EmulationRoute implements RouteGroup {
  readonly serves: readonly string[];
  readonly place = 'public';
  readonly #deps: EmulationDeps;
  readonly #options: EmulationOptions;

  constructor(deps: EmulationDeps, options: EmulationOptions) {
    this.#deps = deps;
    this.#options = options;
    this.serves = [`POST ${options.path} (commands of HTTP-streaming and SSE clients)`];
    deps.bus.handle(KIND, (payload) => this.#onMessage(payload));
  }

  register(app: FastifyInstance): void {
    const { path, maxBodyBytes } = this.#options;
    const { cors } = this.#deps;
    app.post(path, { onRequest: cors.check, bodyLimit: maxBodyBytes }, (request, reply) =>
      this.#answer(request, reply),
    );
    cors.preflight(app, path, ['POST']);
  }

  async #answer(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { body } = request;
    const text = reply.type('text/plain');
    let emulated: EmulationRequest;
    try {
      emulated = decodeEmulationRequest(
        Buffer.isBuffer(body) ? body : Buffer.alloc(0),
        encodingOf(request.headers['content-type']),
      );
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return text.code(400).send(`Bad Request: ${error.message}.\n`);
    }
    try {
      if (await this.#pass(emulated)) return await reply.code(204).send();
      return await text.code(404).send('Not Found: no such node is alive.\n');
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      return await text.code(503).send('Service Unavailable: try again.\n');
    }
  }

  /** False when the node is unknown. Requests go on in the order in which they came. */
  async #pass({ node, session, data }: EmulationRequest): Promise<boolean> {
    const { bus, sessions } = this.#deps;
    const digest = digestOf(session);
    if (node === bus.node) {
      sessions.find(digest)?.receive(data);
      return true;
    }
    if (!isNodeName(node)) return false;
    // The secret itself stays here.
    return await bus.send(node, KIND, { digest, data: data.toString('base64') });
  }

  #onMessage(payload: unknown): void {
    if (typeof payload !== 'object' || payload === null) return;
    const { digest, data } = { digest: undefined, data: undefined, ...payload };
    if (typeof digest !== 'string' || typeof data !== 'string') return;
    this.#deps.sessions.find(digest)?.receive(Buffer.from(data, 'base64'));
  }
}
