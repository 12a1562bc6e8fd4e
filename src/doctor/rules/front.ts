// Rules about how HAProxy takes clients, chooses servers and stands refusals.
import { fault, fine, type Rule, rule, type Verdict } from '../finding.ts';
import {
  backs,
  binds,
  fronts,
  globalSetting,
  type HaproxyConfig,
  type HaproxyLine,
  haproxySetting,
  optionOf,
  servers,
} from '../read/haproxy-config.ts';

function tlsBinds(haproxy: HaproxyConfig): HaproxyLine[] {
  return fronts(haproxy)
    .flatMap(binds)
    .filter(({ words }) => words.includes('ssl'));
}

function eachTlsBind(
  haproxy: HaproxyConfig,
  judge: (bind: HaproxyLine, where: string) => Verdict,
): Verdict | Verdict[] {
  const found = tlsBinds(haproxy);
  if (found.length === 0) return fine('HAProxy ends no TLS for clients here');
  return found.map((bind) => judge(bind, `line ${bind.number} of ${haproxy.file}`));
}

const ticketKeys = rule('ticket-keys', ['haproxy'], ({ haproxy }) =>
  eachTlsBind(haproxy, (bind, where) => {
    const off = [...bind.words, ...(globalSetting(haproxy, 'ssl-default-bind-options')?.words ?? [])];
    if (off.includes('no-tls-tickets')) {
      return fault('warning', `bind ${bind.words[1]}: TLS tickets are switched off`, {
        why: 'every client that comes back pays a full handshake, and so do you',
        change: `without no-tls-tickets in ${haproxy.file}`,
      });
    }
    if (bind.words.includes('tls-ticket-keys'))
      return fine(`bind ${bind.words[1]}: ticket keys outlive a reload`);
    return fault('warning', `bind ${bind.words[1]}: no tls-ticket-keys`, {
      why: 'keys are random in each process: after a reload, or at the other load balancer, no client resumes its TLS session',
      change: `tls-ticket-keys /etc/haproxy/ticket.keys on ${where} (\`holdfast haproxy rotate-keys --no-live\` makes the file)`,
    });
  }),
);

const alpn = rule('alpn', ['haproxy'], ({ haproxy }) =>
  eachTlsBind(haproxy, (bind, where) => {
    const offered = optionOf(bind.words, 'alpn');
    if (offered === 'http/1.1') return fine(`bind ${bind.words[1]}: HTTP/1.1 only`);
    return fault(
      'warning',
      `bind ${bind.words[1]}: alpn ${offered ?? 'is not set, and HAProxy 2.8 and newer offer h2'}`,
      {
        why: 'over h2 one stalled stream blocks all websockets of a browser, Firefox closes them when HAProxy reloads, and limits per source do not count them',
        change: `alpn http/1.1 on ${where}`,
      },
    );
  }),
);

const deadPeers = rule('dead-peers', ['haproxy'], ({ haproxy }) => {
  const all = fronts(haproxy).flatMap(binds);
  const without = all.filter(({ words }) => !words.includes('tcp-ut'));
  if (without.length === 0) return fine('bind lines have tcp-ut');
  return without.map((bind) =>
    fault('warning', `bind ${bind.words[1]}: no tcp-ut`, {
      why: 'what is sent to a client that vanished waits in the kernel for up to a quarter of an hour',
      change: `tcp-ut 40s on line ${bind.number} of ${haproxy.file}`,
    }),
  );
});

const retries = rule('retry-on-503', ['haproxy'], ({ haproxy }) => {
  const several = backs(haproxy).filter((section) => servers(section).length > 1);
  if (several.length === 0) return fine('no backend of HAProxy has a second server to try');
  return several.map((section): Verdict => {
    const retry = haproxySetting(section, 'retry-on')?.words ?? [];
    const redispatch = haproxySetting(section, 'option', 'redispatch') !== undefined;
    if ((retry.includes('503') || retry.includes('all-retryable-errors')) && redispatch) {
      return fine(`${section.kind} ${section.name}: a refused upgrade is tried at another server`);
    }
    return fault('critical', `${section.kind} ${section.name}: 503 is not retried at another server`, {
      why: 'a full or draining host refuses upgrades with 503, and clients see it: connects fail during every deploy',
      change: `option redispatch 1, retries 5 and retry-on conn-failure empty-response 503 in \`defaults\` of ${haproxy.file}`,
    });
  });
});

const markedDown = rule('marked-down', ['haproxy'], ({ haproxy }) => {
  const verdicts = backs(haproxy).flatMap((section) =>
    servers(section).flatMap(({ name, options, line }): Verdict[] => {
      const where = `line ${line.number} of ${haproxy.file} (or in default-server)`;
      const found: Verdict[] = [];
      if (optionOf(options, 'observe') === 'layer7' && options.includes('on-error')) {
        found.push(
          fault('critical', `server ${name}: observe layer7 with on-error`, {
            why: 'refusals by a full host (503) count as its faults: it is taken out with all its clients, and flaps',
            change: `without observe and on-error on ${where}`,
          }),
        );
      }
      if (optionOf(options, 'on-marked-down') === 'shutdown-sessions') {
        found.push(
          fault('warning', `server ${name}: on-marked-down shutdown-sessions`, {
            why: 'three failed health checks cut all its websockets at once: a reconnect storm over a short stall',
            change: `without on-marked-down on ${where}`,
          }),
        );
      }
      return found;
    }),
  );
  return verdicts.length > 0 ? verdicts : fine('a failed health check leaves websockets alone');
});

const clientAddress = rule('client-address', ['haproxy'], ({ haproxy }) => {
  const found = fronts(haproxy);
  if (found.length === 0) return fine('HAProxy passes nobody on');
  return found.map((front): Verdict => {
    const removes = haproxySetting(front, 'http-request', 'del-header', 'X-Forwarded-For') !== undefined;
    const sets =
      haproxySetting(front, 'option', 'forwardfor') !== undefined ||
      haproxySetting(front, 'http-request', 'set-header', 'X-Forwarded-For') !== undefined;
    const isHttp = haproxySetting(front, 'mode')?.words[1] === 'http';
    const setsAnew = haproxySetting(front, 'http-request', 'set-header', 'X-Forwarded-For') !== undefined;
    const name = `${front.kind} ${front.name}`;
    if (!isHttp) return fine(`${name}: not in mode http, adds no addresses`);
    if (sets && (removes || setsAnew)) return fine(`${name}: X-Forwarded-For is the client's true address`);
    return fault(
      'warning',
      `${name}: X-Forwarded-For is ${sets ? 'what the client wrote, and its address' : 'not set'}`,
      {
        why: sets
          ? 'a client can pretend to be another one'
          : 'logs and limits know only the address of HAProxy',
        change: `http-request del-header X-Forwarded-For and option forwardfor in ${name} of ${haproxy.file}`,
      },
    );
  });
});

const healthPort = rule('health-check', ['haproxy', 'config'], ({ haproxy, config }) => {
  const internal = config.http_server.internal_port;
  if (internal === null) return fine('health checks are answered on the public port');
  const wrong = backs(haproxy).flatMap((section) =>
    servers(section).filter(
      ({ options }) =>
        haproxySetting(section, 'option', 'httpchk') !== undefined &&
        options.includes('check') &&
        optionOf(options, 'port') === undefined,
    ),
  );
  if (wrong.length === 0) return fine(`health checks go to the internal port, or HAProxy makes none`);
  return wrong.map(({ name, line }) =>
    fault('critical', `server ${name}: its health check goes to the public port`, {
      why: `with http_server.internal_port ${internal} nothing answers it there: HAProxy takes the server for dead`,
      change: `check port ${internal} on line ${line.number} of ${haproxy.file} (and http_server.internal_address for it)`,
    }),
  );
});

const agentPort = rule('agent-check', ['haproxy', 'config'], ({ haproxy, config }) => {
  const { enabled, port } = config.agent_check;
  const asked = backs(haproxy)
    .flatMap(servers)
    .filter(({ options }) => options.includes('agent-check'));
  if (!enabled && asked.length === 0) return fine('HAProxy asks no agent');
  if (asked.length === 0) {
    return fault('warning', 'agent_check is enabled, and no server of HAProxy asks it', {
      why: 'HAProxy neither prefers hosts with room nor hears of a drain before refusals tell it',
      change: `agent-check agent-port ${port} agent-inter ${Math.ceil(config.agent_check.interval / 1000)}s on the server lines of ${haproxy.file}`,
    });
  }
  return asked.map(({ name, options, line }): Verdict => {
    const askedPort = Number(optionOf(options, 'agent-port'));
    if (enabled && askedPort === port) return fine(`server ${name}: its agent is asked on port ${port}`);
    return fault(
      'warning',
      `server ${name}: HAProxy asks an agent on port ${askedPort}, where ${enabled ? `port ${port} answers` : 'none answers'}`,
      {
        why: 'an agent that does not answer is no error for HAProxy: the weight and a drain stay as they were last told, for ever',
        change: enabled
          ? `agent-port ${port} on line ${line.number} of ${haproxy.file}`
          : 'agent_check.enabled: true in the Holdfast config',
      },
    );
  });
});

const frontLimit = rule('haproxy-maxconn', ['haproxy', 'plan'], ({ haproxy, plan }) => {
  const line = globalSetting(haproxy, 'maxconn');
  const maxconn = Number(line?.words[1]);
  if (!(maxconn > 0)) {
    return fault('warning', 'global maxconn is not set', {
      why: 'HAProxy derives it from its limit of descriptors: another limit, and it changes unseen',
      change: `maxconn ${withReserve(plan.connections)} in \`global\` of ${haproxy.file}`,
    });
  }
  const what = `HAProxy takes ${maxconn} connections; ${plan.source} wants ${plan.connections}`;
  if (maxconn >= plan.connections) return fine(what);
  return fault('critical', what, {
    why: 'further clients wait in the kernel and time out, without a line in any log',
    change: `maxconn ${withReserve(plan.connections)} on line ${line?.number ?? 0} of ${haproxy.file}`,
  });
});

/** For connections that come and go meanwhile, and for other requests. */
function withReserve(connections: number): number {
  return connections + Math.ceil(connections / 10);
}

export const frontRules: readonly Rule[] = [
  frontLimit,
  retries,
  markedDown,
  healthPort,
  agentPort,
  clientAddress,
  ticketKeys,
  alpn,
  deadPeers,
];
