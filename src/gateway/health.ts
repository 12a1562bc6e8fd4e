// Liveness and readiness for load balancers, supervisors and people.
import type { FastifyInstance, FastifyReply } from 'fastify';
import { messageOf } from '../util/errors.ts';
import type { RouteGroup } from './http-server.ts';

export interface HealthCheck {
  readonly name: string;
  check(): HealthState;
}

export interface HealthState {
  readonly ok: boolean;
  /** For people: what was seen, and what is wrong when it is not ok. */
  readonly detail: string;
}

export interface HealthOptions {
  readonly version: string;
  /** This process can serve. */
  readonly live: readonly HealthCheck[];
  /** New clients should come here; the live checks count too. */
  readonly ready: readonly HealthCheck[];
  /** Further paths beside `/healthz` and `/readyz`. */
  readonly livePath?: string | undefined;
  readonly readyPath?: string | undefined;
}

export function healthRoutes(options: HealthOptions): RouteGroup {
  const live = new Set(['/healthz', options.livePath ?? '/healthz']);
  const ready = new Set(['/readyz', options.readyPath ?? '/readyz']);
  return {
    serves: [
      ...[...live].map((path) => `GET ${path} (this process works)`),
      ...[...ready].map((path) => `GET ${path} (new clients may come)`),
    ],
    place: 'both',
    register: (app: FastifyInstance) => {
      for (const path of live) {
        app.get(path, (_request, reply) => answer(reply, options.version, options.live));
      }
      for (const path of ready) {
        app.get(path, (_request, reply) =>
          answer(reply, options.version, [...options.live, ...options.ready]),
        );
      }
    },
  };
}

async function answer(
  reply: FastifyReply,
  version: string,
  checks: readonly HealthCheck[],
): Promise<FastifyReply> {
  const results = checks.map((check) => ({ name: check.name, ...run(check) }));
  const ok = results.every((result) => result.ok);
  return reply.code(ok ? 200 : 503).send({ status: ok ? 'ok' : 'unavailable', version, checks: results });
}

function run(check: HealthCheck): HealthState {
  try {
    return check.check();
  } catch (error) {
    return {
      ok: false,
      detail: `the check itself failed: ${messageOf(error)}`,
    };
  }
}
