// The page of figures of the whole host.
import type { FastifyInstance } from 'fastify';
import { Registry } from 'prom-client';
import { hostPage } from '../observe/host-metrics.ts';
import type { RouteGroup } from './http-server.ts';

export interface MetricsRouteOptions {
  readonly path: string;
  /** What the processes of the host answered; late ones are left out. */
  collect(): Promise<readonly unknown[]>;
}

export function metricsRoute(options: MetricsRouteOptions): RouteGroup {
  return {
    serves: [`GET ${options.path} (figures of this host)`],
    place: 'internal',
    register: (app: FastifyInstance) => {
      app.get(options.path, async (_request, reply) =>
        reply.type(Registry.PROMETHEUS_CONTENT_TYPE).send(await hostPage(await options.collect())),
      );
    },
  };
}
