// Facts of a host on which nothing is wrong, for tests that make one thing wrong.
import { configSchema } from '../../src/config/schema.ts';
import { type Facts, known } from '../../src/doctor/facts.ts';
import { type HaproxyConfig, parseHaproxyConfig } from '../../src/doctor/read/haproxy-config.ts';
import { parseUnit, type UnitFile } from '../../src/doctor/read/unit-file.ts';

export const HAPROXY_TEXT = `
global
    maxconn 60000
    hard-stop-after 30m
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode http
    timeout connect 3s
    timeout http-request 5s
    timeout client 30s
    timeout server 30s
    timeout tunnel 75s
    timeout client-fin 10s
    timeout server-fin 10s
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response 503
frontend wss
    bind :443 ssl crt /etc/haproxy/site.pem alpn http/1.1 tcp-ut 40s tls-ticket-keys /etc/haproxy/ticket.keys
    http-request del-header X-Forwarded-For
    option forwardfor
    default_backend holdfast
backend holdfast
    default-server check maxconn 21000
    server a 10.0.0.1:8000
    server b 10.0.0.2:8000
`;

export const UNIT_TEXT = `
[Service]
Type=notify
NotifyAccess=all
DynamicUser=yes
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
TimeoutStopSec=75
WatchdogSec=20
Restart=on-failure
LimitNOFILE=262144
TasksMax=512
OOMPolicy=continue
`;

export function haproxyConfig(from = '', to = ''): HaproxyConfig {
  if (!HAPROXY_TEXT.includes(from)) throw new Error(`the healthy haproxy.cfg has no '${from}'`);
  return parseHaproxyConfig(HAPROXY_TEXT.replace(from, to), 'haproxy.cfg');
}

export function unitFile(from = '', to = ''): UnitFile {
  if (!UNIT_TEXT.includes(from)) throw new Error(`the healthy unit has no '${from}'`);
  return parseUnit([UNIT_TEXT.replace(from, to)], 'holdfast.service');
}

const REDIS_SETTINGS = {
  'client-output-buffer-limit': 'normal 0 0 0 slave 268435456 67108864 60 pubsub 67108864 16777216 30',
  maxmemory: '0',
  'maxmemory-policy': 'noeviction',
  maxclients: '10000',
  'tcp-keepalive': '60',
};

export function redisFacts(
  over: { readonly version?: string; readonly role?: string; readonly clockOffsetMs?: number } = {},
  settings: Readonly<Record<string, string>> | undefined = {},
) {
  return [
    {
      name: '10.0.0.9:6379',
      version: '7.0.15',
      role: 'master',
      clockOffsetMs: 3,
      settings: new Map(Object.entries({ ...REDIS_SETTINGS, ...settings })),
      ...over,
    },
  ] as const;
}

export const HEALTHY: Facts = {
  config: known(configSchema.parse({ workers: 4, client: { connection_limit: 20_000 } })),
  plan: known({ connections: 20_000, source: 'client.connection_limit' }),
  node: known({ version: 'v24.11.0', todayMs: Date.parse('2026-11-22') }),
  cores: known(4),
  memory: known({ totalBytes: 16e9, availableBytes: 14e9 }),
  heapLimitBytes: known(4e9),
  figures: known({ sample: 2_000, primaryBytes: 80e6, workerBytes: 90e6, connectionBytes: 14_000 }),
  descriptors: known({ hard: 262_144, of: 'LimitNOFILE of holdfast.service' }),
  descriptorsPerProcess: known(1_048_576),
  descriptorsOfMachine: known(2_400_000),
  acceptBacklog: known(16_384),
  synBacklog: known(16_384),
  ports: known({ from: 32_768, to: 60_999, reserved: [] }),
  conntrack: known({ loaded: true, max: 262_144 }),
  clock: known({ synchronised: true }),
  haproxy: known(haproxyConfig()),
  haproxyUnit: known(parseUnit(['[Service]\nLimitNOFILE=200000'], 'haproxy.service')),
  unit: known(unitFile()),
  redis: known(redisFacts()),
};
