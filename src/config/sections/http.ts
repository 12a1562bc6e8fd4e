// Where the gateway listens, and the HTTP handlers beside the client transports.
import { z } from 'zod';
import { flag, choice, secret, section, text, urlPath } from '../fields.ts';

const PORT_HINT = 'expected a port from 0 to 65535';

/** Also as text, because files for other gateways of this protocol write it so. */
const portNumber = z.union(
  [z.int().min(0).max(65_535), z.string().regex(/^\d{1,5}$/, { error: PORT_HINT })],
  { error: PORT_HINT },
);

const toPort = (value: string | number, context: z.RefinementCtx): number => {
  const port = Number(value);
  if (port > 65_535) context.addIssue({ code: 'custom', message: PORT_HINT });
  return port;
};

export const httpServer = section('Where the gateway listens.', {
  address: text('Address of the public listener. Empty: all addresses, IPv4 and IPv6.'),
  port: portNumber
    .transform(toPort)
    .prefault(8000)
    .meta({ description: 'Public port, for clients. 0 takes a free one and prints it.' }),
  unix_socket: text(
    'Listen on this UNIX socket as well (public), for a proxy on the same host. Empty: none.',
  ),
  internal_address: text('Address of the internal listener.', '127.0.0.1'),
  internal_port: z
    .union([portNumber, z.literal(''), z.null()], { error: PORT_HINT })
    .transform((value, context) => (value === null || value === '' ? null : toPort(value, context)))
    .prefault(null)
    .meta({
      description:
        'Moves the HTTP API, metrics and health checks to a port of their own, which every production set-up should do. ' +
        'null: they stay on the public port.',
    }),
});

export const httpApi = section('The server HTTP API, through which your back end publishes.', {
  disabled: flag('Switch the API off.'),
  handler_prefix: urlPath('Path under which the API methods live.', '/api'),
  key: secret(
    'Key that callers must send. Without one every call is refused, unless `http_api.insecure` is set.',
  ),
  error_mode: choice(
    'How an error of a method is answered: empty with status 200 and an `error` in the body, `transport` with a status of its own.',
    ['', 'transport'],
    '',
  ),
  insecure: flag('Development only: accept calls without a key.'),
});

export const prometheus = section('Metrics of the whole host for Prometheus.', {
  enabled: flag('Serve metrics. On by default here.', true),
  handler_prefix: urlPath('Path of the metrics.', '/metrics'),
});

export const health = section('Health checks for load balancers and supervisors.', {
  enabled: flag('Serve the health checks. On by default here.', true),
  handler_prefix: urlPath('Liveness: 200 while this process can serve.', '/healthz'),
  ready_handler_prefix: urlPath('Readiness: 200 only when new clients should come to this host.', '/readyz'),
});
