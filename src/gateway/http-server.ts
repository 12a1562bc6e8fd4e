// The HTTP side of one worker: a public server whose sockets are handed in by the primary, and a listener for back ends
// and operators when they get a port of their own. 'upgrade' events of the public server belong to upgrade.ts.
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  type HTTPMethods,
  type onRequestHookHandler,
} from 'fastify';
import type { Logger } from '../observe/logger.ts';
import { parseTarget } from './client-request.ts';

/** Routes that belong together, and where they are served. */
export interface RouteGroup {
  /** Lines for whoever asks for a path that is not there. */
  readonly serves: readonly string[];
  /** `internal`: on the internal listener when there is one, else on the public server. */
  readonly place: 'public' | 'internal' | 'both';
  register(app: FastifyInstance): void;
}

export interface HttpServersOptions {
  readonly groups: readonly RouteGroup[];
  /** A server of its own for groups with `place: 'internal'`. */
  readonly hasInternal?: boolean;
  readonly limits?: Partial<HttpLimits> | undefined;
  readonly logger: Logger;
}

export interface HttpLimits {
  /** A request's headers must have come within this time, and the whole request within the next. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly maxHeaderBytes: number;
  /** Of routes that do not set their own. */
  readonly maxBodyBytes: number;
  /** Longer than the idle time of usual connection pools, so that they close first and never meet a closing socket. */
  readonly keepAliveTimeoutMs: number;
  /** What `close` grants to requests in progress. */
  readonly closeGraceMs: number;
}

const DEFAULT_LIMITS: HttpLimits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  maxHeaderBytes: 16_384,
  maxBodyBytes: 65_536,
  keepAliveTimeoutMs: 75_000,
  closeGraceMs: 2_000,
};

const DEFAULT_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** Longer than a request is on its way. */
const IDLE_GRACE_MS = 500;

const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Pipelined requests of one connection that are read while it is answered. */
const MAX_DROPPED_REQUESTS = 16;

/** What fastify accepts; it answers 415 to a type that is no type, before any route could say that it does not care. */
const MEDIA_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+\s*(?:;|$)/u;
const UNKNOWN_MEDIA_TYPE = 'application/x-unknown';

export interface HttpServers {
  /** Give it sockets by `emit('connection', socket)`. */
  readonly publicServer: Server;
  /** Likewise. */
  readonly internalServer: Server | undefined;
  /**
   * Every answer from now on is the last one of its connection; ends idle connections after a moment and the others after a
   * grace. May be called twice.
   */
  close(): Promise<void>;
}

export async function createHttpServers(options: HttpServersOptions): Promise<HttpServers> {
  const { groups, hasInternal = false } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const onPublic = groups.filter((group) => !hasInternal || group.place !== 'internal');
  const publicApp = await App.create(onPublic, limits, options.logger, true);
  const onInternal = groups.filter((group) => group.place !== 'public');
  const internalApp = hasInternal ? await App.create(onInternal, limits, options.logger, false) : undefined;
  const apps = internalApp === undefined ? [publicApp] : [publicApp, internalApp];
  let closed: Promise<unknown> | undefined;
  return {
    publicServer: publicApp.server,
    internalServer: internalApp?.server,
    close: async () => {
      closed ??= Promise.all(apps.map((app) => app.close()));
      await closed;
    },
  };
}

/** Routes and a server, and the connections that it has. */
class App {
  readonly #app: FastifyInstance;
  readonly #closeGraceMs: number;
  readonly #sockets = new Set<Socket>();
  #isClosing = false;
  #onEmpty: (() => void) | undefined;

  private constructor(app: FastifyInstance, closeGraceMs: number) {
    this.#app = app;
    this.#closeGraceMs = closeGraceMs;
    this.server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => {
        this.#sockets.delete(socket);
        if (this.#sockets.size === 0) this.#onEmpty?.();
      });
    });
    app.addHook('onSend', (_request, reply, payload, done) => {
      if (this.#isClosing) void reply.header('connection', 'close');
      done(null, payload);
    });
  }

  static async create(
    groups: readonly RouteGroup[],
    limits: HttpLimits,
    logger: Logger,
    isPublic: boolean,
  ): Promise<App> {
    const bare = newApp(groups, limits, logger, isPublic);
    const app = new App(bare, limits.closeGraceMs);
    for (const group of groups) group.register(bare);
    await bare.ready();
    // Node starts to enforce header and request deadlines when a server begins to listen; this one never does.
    app.server.emit('listening');
    return app;
  }

  get server(): Server {
    return this.#app.server;
  }

  /** An idle connection may have a request on its way: whoever sends one soon is answered, and told that it was the last. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      if (this.#sockets.size === 0) resolve();
    });
    const idle = setTimeout(
      () => this.server.closeIdleConnections(),
      Math.min(IDLE_GRACE_MS, this.#closeGraceMs),
    );
    const hurry = setTimeout(() => {
      this.server.closeAllConnections();
      // Those that were upgraded have another owner.
      this.#onEmpty?.();
    }, this.#closeGraceMs);
    await empty;
    clearTimeout(idle);
    clearTimeout(hurry);
    // Stops the deadline checks; it says that it never listened.
    this.server.close(() => undefined);
    await this.#app.close();
  }
}

function newApp(
  groups: readonly RouteGroup[],
  limits: HttpLimits,
  logger: Logger,
  isPublic: boolean,
): FastifyInstance {
  const app = fastify({
    logger: false,
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    bodyLimit: limits.maxBodyBytes,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    clientErrorHandler: refuseMalformed,
    frameworkErrors: (error, _request, reply) => sendStatus(reply, error.statusCode ?? 400),
    serverFactory: (handler) =>
      createServer(
        {
          headersTimeout: limits.headersTimeoutMs,
          requestTimeout: limits.requestTimeoutMs,
          keepAliveTimeout: limits.keepAliveTimeoutMs,
          connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
          maxHeaderSize: limits.maxHeaderBytes,
        },
        handler,
      )
        .on('clientError', refuseMalformed)
        .on('connect', refuseTunnel),
  });
  // Bodies reach routes as they came: what they are is known by the route, not by a header.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  if (isPublic) app.addHook('onRequest', onlyRequestOf());
  app.addHook('onRequest', (request, reply, done) => {
    const { headers } = request.raw;
    if (!MEDIA_TYPE.test(headers['content-type'] ?? '')) headers['content-type'] = UNKNOWN_MEDIA_TYPE;
    reply.headers(DEFAULT_HEADERS);
    done();
  });
  app.setErrorHandler((error: FastifyError, request, reply) => answerError(error, request, reply, logger));
  const served = groups.flatMap((group) => group.serves);
  app.setNotFoundHandler((request, reply) => {
    const { path } = parseTarget(request.raw.url);
    const allowed = METHODS.filter((method) => app.hasRoute({ url: path, method })).join(', ');
    if (allowed !== '') {
      return reply
        .code(405)
        .header('allow', allowed)
        .type('text/plain')
        .send(`Method Not Allowed: this path takes ${allowed}.\n`);
    }
    return reply
      .code(404)
      .type('text/plain')
      .send(`Not found. This address serves:\n${served.map((line) => `  ${line}\n`).join('')}`);
  });
  return app;
}

/** No route has a schema. Without being told so, fastify would load its two compilers of them, which are larger than itself. */
function noSchemas(): never {
  throw new Error('a route with a schema needs a compiler for it');
}

/**
 * A connection serves one request: a session's requests go to their own worker each. Who sends others behind it gets the
 * first answer, which says that it is the last; behind a stream, which may never end, the connection is cut.
 */
function onlyRequestOf(): onRequestHookHandler {
  const served = new WeakMap<Socket, { readonly response: ServerResponse; dropped: number }>();
  return (request, reply, done) => {
    const { socket } = request.raw;
    void reply.header('connection', 'close');
    const first = served.get(socket);
    if (first === undefined) {
      served.set(socket, { response: reply.raw, dropped: 0 });
      done();
      return;
    }
    reply.hijack();
    // Unread bytes would reset the connection at its end, and the answer would be lost with them.
    request.raw.resume();
    first.dropped += 1;
    const { response } = first;
    const isStream = response.headersSent && !response.writableEnded;
    if (isStream || first.dropped > MAX_DROPPED_REQUESTS) socket.destroy();
  };
}

/** What went wrong inside is for the log; the peer gets the status. */
function answerError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
  logger: Logger,
): void {
  const status = error.statusCode !== undefined && error.statusCode >= 400 ? error.statusCode : 500;
  if (status >= 500)
    logger.error({ err: error, method: request.method, url: request.url }, 'http request failed');
  else
    logger.debug(
      { status, code: error.code, method: request.method, url: request.url },
      'http request refused',
    );
  sendStatus(reply, status);
}

function sendStatus(reply: FastifyReply, status: number): void {
  void reply
    .code(status)
    .type('text/plain')
    .send(`${STATUS_CODES[status] ?? 'Error'}\n`);
}

const STATUS_OF_CLIENT_ERROR: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** Bytes that are no HTTP, too many headers, or a request that takes too long. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  // Into a response that has begun, nothing else may be written.
  if (socket.destroyed || !socket.writable || error.code === 'ECONNRESET' || socket.bytesWritten > 0) {
    socket.destroy();
    return;
  }
  const status = STATUS_OF_CLIENT_ERROR[error.code ?? ''] ?? 400;
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    () => socket.destroy(),
  );
}

/** CONNECT asks for a proxy. */
function refuseTunnel(_request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => socket.destroy());
  socket.end('HTTP/1.1 501 Not Implemented\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', () =>
    socket.destroy(),
  );
}
