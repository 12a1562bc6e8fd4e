// The server API over HTTP (server API §1): key, method, body, envelope.
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ApiKeyCheck } from '../auth/api-key.ts';
import type { LabelledCells } from '../observe/hot-counters.ts';
import type { ApiMethod } from './method.ts';
import { asApiFailure, bareErrorJson } from './envelope.ts';
import { openApiDocument } from './openapi.ts';

export interface HttpApiDeps {
  readonly methods: ReadonlyMap<string, ApiMethod>;
  readonly keys: ApiKeyCheck;
  readonly onInternalError: (error: unknown) => void;
  /** Calls by method and result. */
  readonly calls: LabelledCells;
}

export interface HttpApiOptions {
  readonly prefix: string;
  readonly errorMode: '' | 'transport';
  readonly maxBodyBytes: number;
  readonly version: string;
}

const VERBS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const JSON_TYPE = 'application/json';

export class HttpApi {
  readonly place = 'internal';
  readonly serves: readonly string[];
  readonly #deps: HttpApiDeps;
  readonly #options: HttpApiOptions;

  constructor(deps: HttpApiDeps, options: HttpApiOptions) {
    this.#deps = deps;
    this.#options = options;
    this.serves = [
      ...[...deps.methods.keys()].map((name) => `POST ${options.prefix}/${name}`),
      `GET ${options.prefix}/openapi.json`,
    ];
  }

  register(app: FastifyInstance): void {
    const { prefix, maxBodyBytes: bodyLimit, version } = this.#options;
    for (const [name, method] of this.#deps.methods) {
      app.route({
        method: VERBS,
        url: `${prefix}/${name}`,
        bodyLimit,
        onRequest: this.#admit,
        handler: (request, reply) => this.#answer(method, request, reply),
      });
    }
    let document: string | undefined;
    app.get(`${prefix}/openapi.json`, { onRequest: this.#requireKey }, (_request, reply) => {
      document ??= JSON.stringify(openApiDocument([...this.#deps.methods.values()], prefix, version));
      return reply.type(JSON_TYPE).send(document);
    });
  }

  readonly #requireKey = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const query = request.raw.url?.split('?')[1] ?? '';
    if (!this.#deps.keys.permits(request.headers, query)) await reply.code(401).send();
  };

  /** Before the body is read: who has no key costs nothing more. */
  readonly #admit = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    await this.#requireKey(request, reply);
    if (!reply.sent && request.method !== 'POST') {
      await reply.code(405).header('allow', 'POST').type('text/plain').send('Method Not Allowed\n');
    }
  };

  async #answer(method: ApiMethod, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const text = request.body instanceof Buffer && isUtf8(request.body) ? request.body.toString('utf8') : '';
    const value = parsedObject(text);
    if (value === undefined) {
      this.#count(method, 'bad_json');
      return reply.code(400).type('text/plain').send('Bad Request: the body must be a JSON object\n');
    }
    try {
      const result = await method.call(value, text);
      this.#count(method, 'ok');
      // The reply of a batch is its own envelope (server API §2.14).
      return await reply.type(JSON_TYPE).send(method.name === 'batch' ? result : `{"result":${result}}`);
    } catch (error) {
      const failure = asApiFailure(error, this.#deps.onInternalError);
      this.#count(method, String(failure.spec.code));
      const body = bareErrorJson(failure);
      return this.#isTransportMode(request)
        ? reply.code(failure.spec.httpStatus).type(JSON_TYPE).send(body)
        : reply.type(JSON_TYPE).send(`{"error":${body}}`);
    }
  }

  #isTransportMode(request: FastifyRequest): boolean {
    const asked = request.headers['x-centrifugo-error-mode'];
    return asked === 'transport' || this.#options.errorMode === 'transport';
  }

  #count(method: ApiMethod, result: string): void {
    this.#deps.calls.cell(method.name, result).value += 1;
  }
}

function parsedObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
