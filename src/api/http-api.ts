// The server API over HTTP (server API §1): key, method, body, envelope.
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ApiKeyCheck } from '../auth/api-key.ts';
import type { LabelledCells } from '../observe/hot-counters.ts';
import type { ApiMethod } from './method.ts';
import { memberSpan } from '../protocol/json-span.ts';
import { isFields } from '../util/fields.ts';
import { ApiErrors, ApiFailure } from './api-errors.ts';
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
      `POST ${options.prefix}`,
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
    app.route({
      method: VERBS,
      url: prefix,
      bodyLimit,
      onRequest: this.#admit,
      handler: (request, reply) => this.#answerLines(request, reply),
    });
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

  /** The old form, which some libraries still use to save round trips: a command on each line, a reply on each line. */
  async #answerLines(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const lines = textOf(request)
      .split('\n')
      .filter((line) => line.trim() !== '');
    const commands = lines.map(legacyCommand).filter((command) => command !== undefined);
    if (lines.length === 0 || commands.length < lines.length) {
      return reply
        .code(400)
        .type('text/plain')
        .send('Bad Request: expected lines of {"method":…,"params":…}\n');
    }
    const replies: string[] = [];
    for (const { name, params, text } of commands) replies.push(await this.#replyTo(name, params, text));
    return reply.type(JSON_TYPE).send(replies.join('\n'));
  }

  async #replyTo(name: string, params: unknown, text: string): Promise<string> {
    const method = this.#deps.methods.get(name);
    try {
      if (method === undefined) throw new ApiFailure(ApiErrors.notFound, `method ${JSON.stringify(name)}`);
      const result = await method.call(params, text);
      this.#count(method, 'ok');
      return `{"result":${result}}`;
    } catch (error) {
      const failure = asApiFailure(error, this.#deps.onInternalError);
      if (method !== undefined) this.#count(method, String(failure.spec.code));
      return `{"error":${bareErrorJson(failure)}}`;
    }
  }

  async #answer(method: ApiMethod, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const text = textOf(request);
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

/** Empty when it is no UTF-8. */
function textOf({ body }: FastifyRequest): string {
  return body instanceof Buffer && isUtf8(body) ? body.toString('utf8') : '';
}

function parsedObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function legacyCommand(
  line: string,
): { readonly name: string; readonly params: unknown; readonly text: string } | undefined {
  const command = parsedObject(line);
  if (command === undefined || !('method' in command) || typeof command.method !== 'string') return undefined;
  const params = 'params' in command ? command.params : {};
  return { name: command.method, params, text: memberSpan(line, ['params']) ?? '{}' };
}
