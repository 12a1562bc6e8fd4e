// HTTP streaming and server-sent events, with commands by `/emulation` or for pushes only (client protocol §10, §21): from
// a request to a connection whose transport is the body of the response.
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import type { Codec } from '../protocol/replies.ts';
import { connectFrame } from '../protocol/unidirectional.ts';
import { type WireFormat, WireFormats } from '../protocol/wire-format.ts';
import type { Admission } from './admission.ts';
import { parseTarget, type SessionReader } from './client-request.ts';
import type { ConnectionOpener } from './connection-opener.ts';
import type { Cors } from './cors.ts';
import type { RouteGroup } from './http-server.ts';
import { encodingOf } from './media-type.ts';
import { StreamTransport, type StreamTransportOptions } from './stream-transport.ts';

export interface StreamEndpoint {
  readonly kind: StreamTransportOptions['kind'];
  readonly path: string;
  readonly maxBodyBytes: number;
}

export interface StreamRoutesDeps {
  readonly opener: ConnectionOpener;
  readonly sessions: SessionReader;
  readonly admission: Admission;
  readonly cors: Cors;
  readonly codecs: Readonly<Record<'json' | 'protobuf', Codec>>;
}

export interface StreamRoutesOptions {
  readonly endpoints: readonly StreamEndpoint[];
  readonly closeTimeoutMs: number;
}

/** Commands that may wait for a connection that takes no more, in opening requests. */
const MAX_WAITING_REQUESTS = 16;

const STREAM_HEADERS = {
  // Of a response whose body ends with the connection.
  connection: 'close',
  'cache-control': 'private, no-cache, no-store, must-revalidate, max-age=0',
  'x-accel-buffering': 'no',
  pragma: 'no-cache',
};

/** Ends the response head at once also for those who wait for a first line (client protocol §10). */
const SSE_START = '\r\n';

export class StreamRoutes implements RouteGroup {
  readonly serves: readonly string[];
  readonly place = 'public';
  readonly #deps: StreamRoutesDeps;
  readonly #options: StreamRoutesOptions;

  constructor(deps: StreamRoutesDeps, options: StreamRoutesOptions) {
    this.#deps = deps;
    this.#options = options;
    this.serves = options.endpoints.map(
      ({ kind, path }) => `${methodsOf(kind).join(', ')} ${path} (${kind})`,
    );
  }

  register(app: FastifyInstance): void {
    const { cors } = this.#deps;
    for (const endpoint of this.#options.endpoints) {
      const { path, kind, maxBodyBytes } = endpoint;
      const methods = methodsOf(kind);
      app.route({
        method: [...methods],
        url: path,
        bodyLimit: maxBodyBytes,
        exposeHeadRoute: false,
        onRequest: cors.check,
        handler: (request, reply) => this.#answer(endpoint, request, reply),
      });
      cors.preflight(app, path, methods);
    }
  }

  #answer(endpoint: StreamEndpoint, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const { query } = parseTarget(request.raw.url);
    const format = formatOf(endpoint.kind, request);
    const first = firstFrame(format, request, query);
    if (first === undefined) return refuse(reply, 400, 'Bad Request: there is no connect command.\n');
    const refusal = this.#deps.admission.refusal();
    if (refusal !== undefined) {
      this.#deps.opener.counters.admissionRefusals.cell(refusal).value += 1;
      return refuse(reply.header('retry-after', '1'), 503, 'Service Unavailable: try again.\n');
    }
    reply.hijack();
    this.#open(endpoint, format, request, reply, query, first);
    return reply;
  }

  #open(
    endpoint: StreamEndpoint,
    format: WireFormat,
    request: FastifyRequest,
    reply: FastifyReply,
    query: URLSearchParams,
    first: Buffer,
  ): void {
    const { opener, sessions, codecs } = this.#deps;
    const body = reply.raw;
    body.removeHeader('transfer-encoding');
    const headers = reply.headers(STREAM_HEADERS).type(contentType(format)).getHeaders();
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) body.setHeader(name, value);
    body.writeHead(200);
    if (format.framing === 'sse') body.write(SSE_START);
    else body.flushHeaders();
    const transport = new StreamTransport(
      { body, codec: codecs[format.encoding], inbound: opener.counters },
      {
        kind: endpoint.kind,
        format,
        closeTimeoutMs: this.#options.closeTimeoutMs,
        maxWaitingBytes: endpoint.maxBodyBytes * MAX_WAITING_REQUESTS,
      },
    );
    const connection = opener.open(transport, sessions.read(request.raw, query, true));
    transport.attach(connection);
    transport.receive(first);
  }
}

function methodsOf(kind: StreamEndpoint['kind']): readonly HTTPMethods[] {
  return kind === 'sse' || kind === 'uni_sse' ? ['GET', 'POST'] : ['POST'];
}

function formatOf(kind: StreamEndpoint['kind'], request: FastifyRequest): WireFormat {
  switch (kind) {
    case 'http_stream':
      return encodingOf(request.headers['content-type']) === 'protobuf'
        ? WireFormats.streamProtobuf
        : WireFormats.streamJson;
    case 'sse':
      return WireFormats.sse;
    case 'uni_http_stream':
      return WireFormats.uniStream;
    case 'uni_sse':
      return WireFormats.uniSse;
  }
}

/** What the opening request says; undefined when it had to say something. */
function firstFrame(
  format: WireFormat,
  { method, body }: FastifyRequest,
  query: URLSearchParams,
): Buffer | undefined {
  const payload =
    method === 'GET' ? Buffer.from(query.get('cf_connect') ?? '') : Buffer.isBuffer(body) ? body : NOTHING;
  if (format.unidirectional) return connectFrame(payload);
  return payload.length === 0 ? undefined : payload;
}

const NOTHING = Buffer.alloc(0);

function contentType(format: WireFormat): string {
  if (format.framing === 'sse') return 'text/event-stream';
  return format.encoding === 'protobuf' ? 'application/octet-stream' : 'application/json';
}

function refuse(reply: FastifyReply, status: 400 | 503, text: string): FastifyReply {
  return reply.code(status).type('text/plain').send(text);
}
