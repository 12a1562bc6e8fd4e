// Which web pages may use the HTTP transports, in the words of CORS (client protocol §2.2).
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { OriginPolicy } from '../auth/origins.ts';
import type { LabelledCells } from '../observe/hot-counters.ts';

export interface CorsDeps {
  readonly origins: OriginPolicy;
  readonly refusals: LabelledCells;
}

const PREFLIGHT_SECONDS = 300;

export class Cors {
  readonly #deps: CorsDeps;

  constructor(deps: CorsDeps) {
    this.#deps = deps;
  }

  /** Answers preflights of a path. */
  preflight(app: FastifyInstance, path: string, methods: readonly string[]): void {
    app.options(path, { onRequest: this.check }, (request, reply) => {
      const asked = request.headers['access-control-request-headers'];
      void reply.header('access-control-allow-methods', methods.join(', '));
      if (asked !== undefined) void reply.header('access-control-allow-headers', asked);
      return reply.header('access-control-max-age', PREFLIGHT_SECONDS).code(204).send();
    });
  }

  /** A hook: refuses pages that may not, and lets the others read the answer, whatever it will be. */
  readonly check = (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    const { origin } = request.headers;
    if (!this.#deps.origins.allows(origin)) {
      this.#deps.refusals.cell('origin').value += 1;
      void reply.code(403).type('text/plain').send('Forbidden: this origin may not connect.\n');
      return;
    }
    if (origin !== undefined && origin !== '') {
      void reply.headers({
        'access-control-allow-origin': origin,
        'access-control-allow-credentials': 'true',
        vary: 'Origin',
      });
    }
    done();
  };
}
