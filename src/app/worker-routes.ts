// What a worker answers over HTTP beside its clients: health, metrics, the server API.
import { ApiKeyCheck } from '../auth/api-key.ts';
import { createServerApi } from '../api/server-api.ts';
import type { WorkerLink } from '../cluster/worker-link.ts';
import type { Config } from '../config/schema.ts';
import type { Admission } from '../gateway/admission.ts';
import { type HealthCheck, healthRoutes } from '../gateway/health.ts';
import type { RouteGroup } from '../gateway/http-server.ts';
import { metricsRoute } from '../gateway/metrics-route.ts';
import type { OpenConnections } from '../gateway/open-connections.ts';
import type { OverloadGuard } from '../gateway/overload-guard.ts';
import type { Logger } from '../observe/logger.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { AppGatewayDeps } from './app-gateway.ts';

export interface WorkerRoutesDeps {
  readonly link: WorkerLink;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly version: string;
  readonly open: OpenConnections;
  readonly admission: Admission;
  readonly guard: OverloadGuard;
  readonly engineChecks: readonly HealthCheck[];
  /** What the application may do, by whatever way. */
  readonly reach: AppGatewayDeps;
}

const MAX_API_BODY_BYTES = 16 * 1024 * 1024;

export function workerRoutes(deps: WorkerRoutesDeps, config: Config): readonly RouteGroup[] {
  const groups: RouteGroup[] = [];
  if (config.health.enabled) groups.push(health(deps, config));
  if (config.prometheus.enabled) groups.push(metrics(deps, config));
  if (!config.http_api.disabled) groups.push(serverApi(deps, config));
  return groups;
}

function health(
  { link, version, open, admission, guard, engineChecks }: WorkerRoutesDeps,
  { health: { handler_prefix: livePath, ready_handler_prefix: readyPath } }: Config,
): RouteGroup {
  const draining: HealthCheck = {
    name: 'draining',
    check: () => ({ ok: !link.draining, detail: link.draining ? link.drainingDetail : 'no' }),
  };
  const room: HealthCheck = {
    name: 'room',
    check: () => ({ ok: admission.hasRoom, detail: `${open.size} connections on this worker` }),
  };
  const load: HealthCheck = {
    name: 'load',
    check: () => ({ ok: !guard.isOverloaded, detail: guard.isOverloaded ? 'too much to do' : 'bearable' }),
  };
  const ready = [draining, ...engineChecks, room, load];
  return healthRoutes({ version, live: [], ready, livePath, readyPath });
}

function metrics({ link }: WorkerRoutesDeps, { prometheus }: Config): RouteGroup {
  const collect = async (): Promise<readonly unknown[]> =>
    (await link.questions.collect('metrics')).flatMap(({ value }) => value);
  return metricsRoute({ path: prometheus.handler_prefix, collect });
}

function serverApi(deps: WorkerRoutesDeps, { http_api: api }: Config): RouteGroup {
  const { key, insecure, handler_prefix: prefix, error_mode: errorMode } = api;
  return createServerApi(
    {
      ...deps.reach,
      rpc: new Map(),
      keys: new ApiKeyCheck({ key, insecure }),
      logger: deps.log,
      calls: deps.metrics.hot.apiCalls,
    },
    { prefix, errorMode, maxBodyBytes: MAX_API_BODY_BYTES, version: deps.version },
  );
}
