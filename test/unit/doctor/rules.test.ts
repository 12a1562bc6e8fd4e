import t from 'tap';
import { configSchema } from '../../../src/config/schema.ts';
import { diagnose, RULES } from '../../../src/doctor/diagnose.ts';
import { type Facts, type FactName, type FactValues, unknown } from '../../../src/doctor/facts.ts';
import { worstOf } from '../../../src/doctor/finding.ts';
import { parseUnit } from '../../../src/doctor/read/unit-file.ts';
import { haproxyConfig, HEALTHY, redisFacts, unitFile } from '../../helpers/healthy-host.ts';

type Change = { readonly [K in FactName]?: FactValues[K] };

function withChange(change: Change): Facts {
  const entries = Object.entries(change).map(([name, value]) => [name, { known: true, value }]);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every value keeps the name that it came with
  return { ...HEALTHY, ...(Object.fromEntries(entries) as Partial<Facts>) };
}

const planned = (connections: number): Change => ({ plan: { connections, source: '--connections' } });
const config = (input: Readonly<Record<string, unknown>>): Change => ({
  config: configSchema.parse({ workers: 4, ...input }),
});
const tls = ' tls-ticket-keys /etc/haproxy/ticket.keys';
const client = { connection_limit: 20_000 };

/** One fault, and what must be said of it: rule, severity, a word of what or change. */
const BAD: readonly (readonly [rule: string, severity: string, said: RegExp, change: Change])[] = [
  ['node-version', 'critical', /20\.19/, { node: { version: 'v20.18.3', todayMs: 0 } }],
  ['node-version', 'critical', /20\.19/, { node: { version: 'v18.20.0', todayMs: 0 } }],
  [
    'node-version',
    'warning',
    /2026-04-30/,
    { node: { version: 'v20.20.2', todayMs: Date.parse('2026-11-22') } },
  ],
  ['node-version', 'warning', /odd/, { node: { version: 'v23.1.0', todayMs: 0 } }],
  ['workers', 'warning', /workers: 2/, { cores: 2 }],
  ['clock', 'warning', /set-ntp/, { clock: { synchronised: false } }],
  ['clock-offset', 'warning', /2500 ms/, { redis: redisFacts({ clockOffsetMs: -2_500 }) }],
  ['descriptors', 'critical', /LimitNOFILE=262144/, { descriptors: { hard: 4_096, of: 'this shell' } }],
  ['descriptors', 'critical', /LimitNOFILE=500200/, planned(2_000_000)],
  ['descriptors-usual', 'warning', /20000 descriptors/, { descriptors: { hard: 20_000, of: 'this shell' } }],
  ['descriptors-cap', 'critical', /fs\.nr_open = 262144/, { descriptorsPerProcess: 100_000 }],
  ['descriptors-machine', 'critical', /fs\.file-max = 120000/, { descriptorsOfMachine: 50_000 }],
  [
    'haproxy-descriptors',
    'critical',
    /LimitNOFILE=120200/,
    { haproxyUnit: parseUnit(['[Service]\nLimitNOFILE=65536'], 'haproxy.service') },
  ],
  ['haproxy-descriptors', 'critical', /gives 100000/, { descriptorsPerProcess: 100_000 }],
  ['backlog', 'warning', /somaxconn = 16384/, { acceptBacklog: 4_096 }],
  ['backlog', 'critical', /128/, { acceptBacklog: 128 }],
  ['syn-backlog', 'warning', /2048/, { synBacklog: 2_048 }],
  [
    'source-ports',
    'critical',
    /28232 source ports/,
    { haproxy: haproxyConfig('maxconn 21000', 'maxconn 50000'), ...planned(50_000) },
  ],
  [
    'source-ports',
    'critical',
    /19991 source ports/,
    { ports: { from: 32_768, to: 60_999, reserved: [[40_000, 48_240]] } },
  ],
  ['listen-ports', 'warning', /reserved_ports = 8000/, { ports: { from: 1_024, to: 65_535, reserved: [] } }],
  ['conntrack', 'critical', /nf_conntrack_max = 1048576/, { conntrack: { loaded: true, max: 40_000 } }],
  [
    'server-maxconn',
    'warning',
    /maxconn 20100/,
    { haproxy: haproxyConfig('maxconn 21000', 'maxconn 10000') },
  ],
  ['server-maxconn', 'warning', /maxconn 100100/, planned(100_000)],
  ['source-ports', 'critical', /28232 source ports.*100000/, planned(100_000)],
  ['connection-limit', 'warning', /no limit/, config({})],
  ['connections', 'critical', /connection_limit: 30000/, planned(30_000)],
  ['memory', 'warning', /connection_limit: 14000/, { memory: { totalBytes: 1e9, availableBytes: 1e9 } }],
  ['memory', 'critical', /of the 500 MB/, { memory: { totalBytes: 5e8, availableBytes: 1e8 } }],
  ['heap', 'warning', /max-old-space-size=112/, { heapLimitBytes: 1e8 }],
  ['heap', 'critical', /of its heap limit, 50 MB/, { heapLimitBytes: 5e7 }],
  ['outboxes', 'warning', /queue_max_size: 524288/, { memory: { totalBytes: 8e8, availableBytes: 8e8 } }],
  [
    'tunnel-timeout',
    'critical',
    /timeout tunnel 1m15s on line 12/,
    { haproxy: haproxyConfig('tunnel 75s', 'tunnel 20s') },
  ],
  ['tunnel-timeout', 'warning', /no timeout tunnel.*30s/, { haproxy: haproxyConfig('timeout tunnel 75s') }],
  [
    'tunnel-timeout',
    'warning',
    /one ping that comes late/,
    { haproxy: haproxyConfig('tunnel 75s', 'tunnel 50s') },
  ],
  ['tunnel-timeout', 'warning', /forgot/, { haproxy: haproxyConfig('tunnel 75s', 'tunnel 1d') }],
  [
    'tunnel-timeout',
    'critical',
    /pings every 2m/,
    config({ client: { ...client, ping_interval: '2m', pong_timeout: '8s' } }),
  ],
  ['client-timeout', 'warning', /1h/, { haproxy: haproxyConfig('client 30s', 'client 1h') }],
  ['client-timeout', 'warning', /not set/, { haproxy: haproxyConfig('timeout client 30s') }],
  ['http-request-timeout', 'warning', /trickle/, { haproxy: haproxyConfig('timeout http-request 5s') }],
  ['half-closed', 'warning', /client-fin 10s/, { haproxy: haproxyConfig('timeout client-fin 10s') }],
  ['hard-stop-after', 'warning', /for ever/, { haproxy: haproxyConfig('hard-stop-after 30m') }],
  [
    'hard-stop-after',
    'warning',
    /storm/,
    { haproxy: haproxyConfig('hard-stop-after 30m', 'hard-stop-after 60s') },
  ],
  ['haproxy-maxconn', 'warning', /not set/, { haproxy: haproxyConfig('    maxconn 60000') }],
  ['haproxy-maxconn', 'critical', /maxconn 110000/, planned(100_000)],
  ['retry-on-503', 'critical', /redispatch/, { haproxy: haproxyConfig(' 503') }],
  ['retry-on-503', 'critical', /redispatch/, { haproxy: haproxyConfig('option redispatch 1') }],
  [
    'marked-down',
    'critical',
    /layer7/,
    { haproxy: haproxyConfig('check maxconn', 'check observe layer7 on-error mark-down maxconn') },
  ],
  [
    'marked-down',
    'warning',
    /shutdown-sessions/,
    { haproxy: haproxyConfig('b 10.0.0.2:8000', 'b 10.0.0.2:8000 on-marked-down shutdown-sessions') },
  ],
  [
    'client-address',
    'warning',
    /pretend/,
    { haproxy: haproxyConfig('http-request del-header X-Forwarded-For') },
  ],
  ['client-address', 'warning', /not set/, { haproxy: haproxyConfig('option forwardfor') }],
  [
    'health-check',
    'critical',
    /check port 9000 on line 26/,
    {
      ...config({ client, http_server: { internal_port: 9_000 } }),
      haproxy: haproxyConfig('default-server', 'option httpchk\n    default-server'),
    },
  ],
  ['agent-check', 'warning', /no server of HAProxy asks/, config({ client, agent_check: { enabled: true } })],
  [
    'agent-check',
    'warning',
    /agent_check\.enabled: true/,
    { haproxy: haproxyConfig('check maxconn', 'check agent-check agent-port 8010 maxconn') },
  ],
  [
    'agent-check',
    'warning',
    /agent-port 8010 on line 25/,
    {
      ...config({ client, agent_check: { enabled: true } }),
      haproxy: haproxyConfig('check maxconn', 'check agent-check agent-port 9999 maxconn'),
    },
  ],
  ['ticket-keys', 'warning', /ticket\.keys on line 19/, { haproxy: haproxyConfig(tls) }],
  [
    'ticket-keys',
    'warning',
    /switched off/,
    { haproxy: haproxyConfig('ssl-min-ver TLSv1.2', 'ssl-min-ver TLSv1.2 no-tls-tickets') },
  ],
  ['alpn', 'warning', /h2/, { haproxy: haproxyConfig(' alpn http/1.1') }],
  ['alpn', 'warning', /h2,http\/1\.1/, { haproxy: haproxyConfig('alpn http/1.1', 'alpn h2,http/1.1') }],
  ['dead-peers', 'warning', /tcp-ut 40s on line 19/, { haproxy: haproxyConfig(' tcp-ut 40s') }],
  ['stop-timeout', 'critical', /TimeoutStopSec=45/, { unit: unitFile('StopSec=75', 'StopSec=20') }],
  ['stop-timeout', 'warning', /40s/, { unit: unitFile('StopSec=75', 'StopSec=40s') }],
  [
    'stop-timeout',
    'critical',
    /by default.*2m/,
    { unit: unitFile('TimeoutStopSec=75'), ...config({ client, shutdown: { timeout: '2m' } }) },
  ],
  ['kill-mode', 'warning', /control-group/, { unit: unitFile('KillMode=mixed') }],
  ['kill-mode', 'critical', /outlive/, { unit: unitFile('KillMode=mixed', 'KillMode=process') }],
  ['notify', 'warning', /Type=simple/, { unit: unitFile('Type=notify\n') }],
  ['notify', 'critical', /NotifyAccess=all/, { unit: unitFile('NotifyAccess=all') }],
  ['watchdog', 'warning', /WatchdogSec=20/, { unit: unitFile('WatchdogSec=20') }],
  ['watchdog', 'warning', /stall/, { unit: unitFile('WatchdogSec=20', 'WatchdogSec=2') }],
  ['restart', 'critical', /on-failure/, { unit: unitFile('Restart=on-failure') }],
  ['exec-reload', 'warning', /HUP/, { unit: unitFile('ExecReload=/bin/kill -HUP $MAINPID') }],
  [
    'memory-deny-write-execute',
    'critical',
    /SIGTRAP/,
    { unit: unitFile('TasksMax=512', 'MemoryDenyWriteExecute=yes') },
  ],
  ['oom-policy', 'warning', /OOMPolicy=stop/, { unit: unitFile('OOMPolicy=continue') }],
  ['tasks', 'critical', /TasksMax=144/, { unit: unitFile('TasksMax=512', 'TasksMax=100') }],
  ['redis-server', 'critical', /slave/, { redis: redisFacts({ role: 'slave' }) }],
  ['redis-server', 'warning', /6\.2\.1/, { redis: redisFacts({ version: '6.2.1' }) }],
  [
    'redis-output-buffer',
    'critical',
    /2 MiB/,
    { redis: redisFacts({}, { 'client-output-buffer-limit': 'normal 0 0 0 pubsub 2097152 1048576 30' }) },
  ],
  [
    'redis-output-buffer',
    'warning',
    /no output-buffer limit/,
    { redis: redisFacts({}, { 'client-output-buffer-limit': 'pubsub 0 0 0' }) },
  ],
  [
    'redis-eviction',
    'critical',
    /allkeys-lru/,
    { redis: redisFacts({}, { maxmemory: '1000000000', 'maxmemory-policy': 'allkeys-lru' }) },
  ],
  ['redis-maxclients', 'critical', /maxclients 10000/, { redis: redisFacts({}, { maxclients: '10' }) }],
  ['redis-maxclients', 'warning', /50 clients/, { redis: redisFacts({}, { maxclients: '50' }) }],
  ['redis-keepalive', 'warning', /tcp-keepalive 300/, { redis: redisFacts({}, { 'tcp-keepalive': '300' }) }],
];

t.test('a healthy host: every rule says that it is in order', async (t) => {
  const findings = diagnose(HEALTHY);
  t.same(
    findings.filter(({ severity }) => severity !== 'ok'),
    [],
  );
  t.equal(worstOf(findings), 'ok');
  for (const { id } of RULES)
    t.ok(
      findings.some(({ rule }) => rule === id),
      id,
    );
});

for (const [rule, severity, said, change] of BAD) {
  t.test(`${rule}: ${severity}, ${said.source}`, async (t) => {
    const findings = diagnose(withChange(change)).filter((finding) => finding.rule === rule);
    const bad = findings.filter((finding) => finding.severity !== 'ok');
    t.ok(bad.length > 0, 'the fault is found');
    t.match(bad[0], { severity });
    t.match(bad.map(({ what, why, change: line }) => `${what}; ${why}; ${line}`).join('\n'), said);
    for (const each of bad) t.ok(each.why !== '' && each.change !== '', 'why, and the line to change');
  });
}

t.test('every rule has a bad case here', async (t) => {
  t.same(
    RULES.map(({ id }) => id).filter((id) => !BAD.some(([rule]) => rule === id)),
    [],
  );
});

t.test('without its facts a rule says what is not known, and nothing else', async (t) => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the names are those of all facts
  const nothing = Object.fromEntries(
    Object.keys(HEALTHY).map((name) => [name, unknown(`${name} was not read`)]),
  ) as unknown as Facts;
  const findings = diagnose(nothing);
  t.equal(findings.length, RULES.length);
  for (const finding of findings) t.match(finding, { severity: 'unknown', what: /was not read/ });
  t.equal(worstOf(findings), 'unknown');
});

t.test('what does not concern this set-up is in order', async (t) => {
  const other = haproxyConfig(
    'server a 10.0.0.1:8000\n    server b 10.0.0.2:8000',
    'server a unix@/run/holdfast.sock',
  );
  const findings = diagnose(
    withChange({
      haproxy: other,
      conntrack: { loaded: false, max: Infinity },
      redis: [],
      ...planned(20_000),
    }),
  );
  t.equal(worstOf(findings), 'ok');
  t.match(
    findings.find(({ rule }) => rule === 'source-ports'),
    { what: /UNIX sockets/ },
  );
  t.match(
    findings.find(({ rule }) => rule === 'retry-on-503'),
    { what: /no backend.*second server/ },
  );
  t.notOk(findings.some(({ rule }) => rule.startsWith('redis')));
});

t.test('checks that go where they are answered', async (t) => {
  const asks = 'option httpchk\n    default-server port 9000 agent-check agent-port 8010';
  const findings = diagnose(
    withChange({
      ...config({ client, http_server: { internal_port: 9_000 }, agent_check: { enabled: true } }),
      haproxy: haproxyConfig('default-server', asks),
    }),
  );
  t.equal(worstOf(findings), 'ok');
  t.match(
    findings.find(({ rule }) => rule === 'agent-check'),
    { what: /asked on port 8010/ },
  );
});

t.test('a Redis that tells no settings', async (t) => {
  const silent = redisFacts().map((server) => ({ ...server, settings: undefined }));
  const findings = diagnose(withChange({ redis: silent })).filter(({ severity }) => severity !== 'ok');
  t.same(
    findings.map(({ rule, severity }) => [rule, severity]),
    ['redis-output-buffer', 'redis-eviction', 'redis-maxclients', 'redis-keepalive'].map((rule) => [
      rule,
      'unknown',
    ]),
  );
});
