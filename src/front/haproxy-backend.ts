// The servers of the generated haproxy.cfg: how one is chosen, how it is checked, what it may carry.
import type { Config } from '../config/schema.ts';
import { canaryServerLines } from './canary.ts';
import type { Balance, FrontOptions, FrontServer } from './front-options.ts';
import { quoted, section } from './text.ts';

/** Per server when the gateway itself has no limit: below the 28,232 source ports towards one address. */
const SERVER_CONNECTIONS = 20_000;
/** Above the gateway's own limit, so that it is the gateway who refuses, and HAProxy who goes elsewhere. */
const RESERVE = 100;

export function backendSections(config: Config, options: FrontOptions): string[] {
  const servers = options.hosts.flatMap((host) => host.servers);
  const api = options.apiBind === undefined ? [] : [apiBackend(config, servers)];
  return [clientBackend(config, options, servers), ...api];
}

/** As HAProxy writes times: it knows no `1m30s`. */
function agentInterval({ agent_check: { interval } }: Config): string {
  return interval % 1000 === 0 ? `${interval / 1000}s` : `${interval}ms`;
}

/** Without the port. */
function ipOf(address: string): string {
  return address.replace(/:\d+$/, '');
}

function clientBackend(config: Config, options: FrontOptions, servers: readonly FrontServer[]): string {
  const hasAgent = servers.some(({ agentPort }) => agentPort !== undefined);
  const agentWords = `agent-inter ${agentInterval(config)} weight 100`;
  const limit = config.client.connection_limit;
  const maxconn = limit > 0 ? limit + RESERVE : SERVER_CONNECTIONS;
  const isPaired = options.hosts.some((host) => host.servers.length > 1);
  return section('backend holdfast', [
    ...balanceLines(options.balance),
    ...healthLines(config),
    ...(hasAgent ? AGENT_LINES : SLOWSTART_LINES),
    limit > 0
      ? '# maxconn: `client.connection_limit` and a little, so that the gateway refuses first and the request goes elsewhere.'
      : '# maxconn: what a server that is not limited by `client.connection_limit` shall get at most.',
    ...OBSERVE_LINES,
    `default-server check ${CHECK_TIMES} observe layer4 error-limit 2 on-error mark-down ${hasAgent ? agentWords : 'slowstart 30s'} maxconn ${maxconn}`,
    ...(isPaired ? [...PAIR_LINES, ...canaryServerLines(options.hosts)] : []),
    ...(servers.some(({ isUnix }) => isUnix) ? UNIX_LINES : []),
    ...(servers.every(({ isUnix }) => isUnix) ? [] : PORT_LINES),
    ...servers.map((server) => serverLine(server, options.balance)),
  ]);
}

function balanceLines(balance: Balance): string[] {
  const consistent = [
    '# consistent: a host more or less moves only its share. hash-balance-factor: no host gets more than 1.5 times the average,',
    '# however popular a key is.',
    'hash-type consistent sdbm avalanche',
    'hash-balance-factor 150',
  ];
  switch (balance.kind) {
    case 'leastconn':
      return [
        '# Websockets last: the host with the fewest gets the next one. After a reload the counts begin at zero, so change',
        '# servers through the runtime API rather than by reloading.',
        'balance leastconn',
      ];
    case 'source':
      return [
        '# One client address, one host: for clients without cookies whose several connections shall meet. Offices weigh heavy.',
        'balance source',
        ...consistent,
      ];
    case 'url_param':
      return [
        `# Who has the same ?${balance.name}= shares a host; a client without it goes round robin.`,
        `balance url_param ${balance.name}`,
        ...consistent,
      ];
    case 'header':
      return [
        `# Who sends the same ${balance.name} shares a host; a client without it goes round robin.`,
        `balance hdr(${balance.name})`,
        ...consistent,
      ];
    case 'cookie':
      return [
        '# New browsers go where there is room; with the cookie they come back to the same host. A draining host still gets its',
        '# own here, refuses them with 503, and redispatch finds them another.',
        'balance leastconn',
        `cookie ${balance.name} insert indirect nocache httponly secure`,
      ];
  }
}

function healthLines({ health }: Config): string[] {
  if (!health.enabled)
    return ['# health.enabled is off in the gateway: HAProxy only sees whether it accepts.'];
  return [
    `# ${health.ready_handler_prefix}: 200 while new clients should come here. A server that fails it gets no new connections and keeps those it`,
    '# has (no `on-marked-down shutdown-sessions`: a flapping check would become a reconnect storm).',
    'option httpchk',
    `http-check send meth GET uri ${health.ready_handler_prefix} ver HTTP/1.1 hdr Host holdfast hdr User-Agent haproxy-check`,
    'http-check expect status 200',
  ];
}

/** A host that refuses is found in 1.5 s at most: the gateway keeps who comes back a little longer than that. */
const CHECK_TIMES = 'inter 1s fastinter 250ms downinter 1s fall 3 rise 2';

const OBSERVE_LINES = [
  '# observe: two connections in a row that fail take a server out until its checks succeed again. Only connections count',
  '# (layer4): a refusal (503) is no fault.',
];

const AGENT_LINES = [
  '# The agent is the primary itself: it says how much room it has (weight, in percent of 100), and `drain` while it leaves.',
  '# A host that came back is raised slowly by its agent, so there is no slowstart. `set server holdfast/X state drain` by hand',
  '# holds: the agent speaks of the state only in the first seconds after its start, and while it drains.',
];

const SLOWSTART_LINES = ['# slowstart: a host that came back is not given everything at once.'];

const PAIR_LINES = [
  '# Blue and green: two gateways of one host. The one that is not running is down; the one that drains gets nothing new.',
];

const UNIX_LINES = [
  '# A UNIX socket has no ports to run out of. Its directory must be open to the user of HAProxy.',
];

const PORT_LINES = [
  '# One address and port of a server takes 28,232 connections from one HAProxy (its source ports); beyond that widen',
  '# net.ipv4.ip_local_port_range, give the host a second address, or use a UNIX socket.',
];

function serverLine(server: FrontServer, balance: Balance): string {
  const { name, address, isUnix, healthPort, agentPort } = server;
  // A check with a port of its own needs an address that has ports.
  const health =
    healthPort === undefined ? [] : [...(isUnix ? ['addr 127.0.0.1'] : []), `port ${healthPort}`];
  const agent =
    agentPort === undefined
      ? []
      : ['agent-check', ...(isUnix ? ['agent-addr 127.0.0.1'] : []), `agent-port ${agentPort}`];
  const cookie = balance.kind === 'cookie' ? [`cookie ${name}`] : [];
  return ['server', name, quoted(address), ...health, ...agent, ...cookie].join(' ');
}

function apiBackend(config: Config, servers: readonly FrontServer[]): string {
  return section('backend holdfast_api', [
    '# Any host takes any call. A publish is not repeated when its answer was lost: it may have happened.',
    'balance roundrobin',
    'retry-on conn-failure',
    ...healthLines(config),
    `default-server check ${CHECK_TIMES}`,
    ...servers.map(({ name, address, isUnix, healthPort }) => {
      const host = isUnix ? '127.0.0.1' : ipOf(address);
      return `server ${name} ${quoted(healthPort === undefined ? address : `${host}:${healthPort}`)}`;
    }),
  ]);
}
