// Rules about the kernel's network settings: backlogs, ports of outgoing connections, connection tracking.
import type { PortRange } from '../facts.ts';
import { fault, fine, type Rule, rule, type Verdict } from '../finding.ts';
import { backs, type HaproxyServer, optionOf, servers } from '../read/haproxy-config.ts';

/** What the gateway and the shipped haproxy.cfg listen with. */
const WANTED_BACKLOG = 16_384;
const SYSCTL_FILE = '/etc/sysctl.d/90-holdfast.conf';

const acceptBacklog = rule('backlog', ['acceptBacklog'], ({ acceptBacklog: backlog }) => {
  const what = `net.core.somaxconn is ${backlog}`;
  if (backlog >= WANTED_BACKLOG) return fine(what);
  return fault(backlog < 1_024 ? 'critical' : 'warning', what, {
    why: `every listen backlog is cut to it: of clients that come back at once, all beyond ${backlog} wait for a retry of TCP`,
    change: `net.core.somaxconn = ${WANTED_BACKLOG} in ${SYSCTL_FILE}`,
  });
});

const synBacklog = rule('syn-backlog', ['synBacklog'], ({ synBacklog: backlog }) => {
  const what = `net.ipv4.tcp_max_syn_backlog is ${backlog}`;
  if (backlog >= 4_096) return fine(what);
  return fault('warning', what, {
    why: 'in a reconnect storm the kernel falls back to SYN cookies, or drops connections half-way',
    change: `net.ipv4.tcp_max_syn_backlog = ${WANTED_BACKLOG} in ${SYSCTL_FILE}`,
  });
});

const sourcePorts = rule('source-ports', ['haproxy', 'ports', 'plan'], ({ haproxy, ports, plan }) => {
  const back = backs(haproxy);
  const all = back.flatMap((section) => servers(section));
  const verdicts = back.flatMap((section) =>
    servers(section)
      .filter(({ address }) => !isUnixSocket(address))
      .map((server) => {
        // Clients as one backend spreads them: another of its servers may be away.
        const wanted = Math.ceil(plan.connections / Math.max(1, servers(section).length - 1));
        return judgePorts(`${section.name}/${server.name}`, { server, wanted, ports, file: haproxy.file });
      }),
  );
  if (all.length === 0) return fine('HAProxy has no servers');
  return verdicts.length > 0
    ? verdicts
    : fine('HAProxy reaches its servers by UNIX sockets, which need no ports');
});

interface PortQuestion {
  readonly server: HaproxyServer;
  readonly wanted: number;
  readonly ports: PortRange;
  readonly file: string;
}

function judgePorts(name: string, { server, wanted, ports, file }: PortQuestion): Verdict {
  const available = portsAvailable(server, ports);
  const what = `one HAProxy has ${available} source ports to server ${name} (${server.address}); up to ${wanted} connections go there`;
  if (wanted <= available) return fine(what);
  return fault('critical', what, {
    why: 'further websockets get 503 and HAProxy logs "no free ports"; health checks take from the same ports',
    change:
      `net.ipv4.ip_local_port_range = 1024 65535 in ${SYSCTL_FILE}, or ` +
      `\`source 127.0.0.2:1024-65535\` on line ${server.line.number} of ${file}, or a UNIX socket (http_server.unix_socket)`,
  });
}

function portsAvailable(server: HaproxyServer, ports: PortRange): number {
  const explicit = /:(\d+)-(\d+)$/.exec(optionOf(server.options, 'source') ?? '');
  if (explicit !== null) return Number(explicit[2]) - Number(explicit[1]) + 1;
  const reserved = ports.reserved.reduce((sum, [first, last]) => {
    return sum + Math.max(0, Math.min(last, ports.to) - Math.max(first, ports.from) + 1);
  }, 0);
  return ports.to - ports.from + 1 - reserved;
}

function isUnixSocket(address: string): boolean {
  return /^(?:\/|unix@|abns@|abnsz@)/.test(address);
}

const listenPorts = rule('listen-ports', ['config', 'ports'], ({ config, ports }) => {
  const { port, internal_port: internal } = config.http_server;
  const agent = config.agent_check.enabled ? [config.agent_check.port] : [];
  const taken = [port, ...(internal === null ? [] : [internal]), ...agent].filter(
    (each) =>
      each >= ports.from &&
      each <= ports.to &&
      !ports.reserved.some(([first, last]) => each >= first && each <= last),
  );
  const range = `${ports.from}-${ports.to}`;
  if (taken.length === 0) return fine(`ports of outgoing connections (${range}) spare those of the gateway`);
  return fault(
    'warning',
    `the gateway listens on ${taken.join(', ')}, within ${range} of outgoing connections`,
    {
      why: 'an outgoing connection may have taken the port when the gateway starts: "in use by another program"',
      change: `net.ipv4.ip_local_reserved_ports = ${taken.join(',')} in ${SYSCTL_FILE}`,
    },
  );
});

const connectionTracking = rule('conntrack', ['conntrack', 'plan'], ({ conntrack, plan }) => {
  if (!conntrack.loaded) return fine('the kernel tracks no connections here');
  // To HAProxy, and from it to the gateway.
  const needed = plan.connections * 2;
  const what = `net.netfilter.nf_conntrack_max is ${conntrack.max}; ${plan.connections} connections through HAProxy take ${needed}`;
  if (needed <= conntrack.max * 0.8) return fine(what);
  return fault('critical', what, {
    why: 'once it is full the kernel drops packets of new connections, of ssh and Redis as well',
    change: `net.netfilter.nf_conntrack_max = ${Math.max(1_048_576, needed * 2)} in ${SYSCTL_FILE}`,
  });
});

const serverLimits = rule('server-maxconn', ['haproxy', 'plan'], ({ haproxy, plan }) => {
  const limits = backs(haproxy).flatMap((section) =>
    servers(section).map((server) => ({
      section,
      server,
      maxconn: Number(optionOf(server.options, 'maxconn') ?? NaN),
    })),
  );
  const low = limits.filter(({ maxconn }) => maxconn < plan.connections);
  if (low.length === 0) return fine(`no server of HAProxy is limited below ${plan.source}`);
  return low.map(({ section, server, maxconn }) =>
    fault(
      'warning',
      `HAProxy gives ${section.name}/${server.name} ${maxconn} connections; ${plan.source} wants ${plan.connections}`,
      {
        why: 'clients wait in HAProxy for `timeout queue` and get 503 while the gateway has room',
        change: `maxconn ${plan.connections + 100} on line ${server.line.number} of ${haproxy.file} (or in default-server)`,
      },
    ),
  );
});

export const networkRules: readonly Rule[] = [
  acceptBacklog,
  synBacklog,
  sourcePorts,
  listenPorts,
  connectionTracking,
  serverLimits,
];
