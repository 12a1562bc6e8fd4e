// Writes a complete haproxy.cfg for HAProxy 2.6 or newer from the configuration of the gateways behind it. Pure: text from
// values, with the reason beside every choice.
import type { Config } from '../config/schema.ts';
import { canaryFrontLines } from './canary.ts';
import { backendSections } from './haproxy-backend.ts';
import type { FrontOptions } from './front-options.ts';
import { type FrontTimeouts, frontTimeouts } from './timeouts.ts';
import { comment, join, quoted, section } from './text.ts';

const SUITES_13 = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';
const CIPHERS_12 =
  'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:' +
  'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305';
const BACKLOG = 16_384;

/** `command`: what made it, for the head of the file. */
export function haproxyConfig(config: Config, options: FrontOptions, command: string): string {
  const timeouts = frontTimeouts(config);
  return join([
    head(command),
    globalSection(options),
    defaultsSection(timeouts, options),
    options.perSource === undefined ? '' : sources(options),
    frontend(config, options, timeouts),
    ...backendSections(config, options),
    options.apiBind === undefined ? '' : apiFrontend(config, options.apiBind),
    options.opsBind === undefined ? '' : opsFrontend(options.opsBind),
  ]);
}

function head(command: string): string {
  return comment(
    'HAProxy before Holdfast, for HAProxy 2.6 or newer (Debian 12). Made by',
    `  ${command}`,
    '`haproxy -dW -c -f FILE` must stay silent. It does not notice too few descriptors, wrong paths or dead servers: prove a',
    'change by a start.',
  );
}

function globalSection(options: FrontOptions): string {
  const gigabytes = ((options.maxConnections * 26) / 1_000_000).toFixed(1);
  return section('global', [
    '# Journald takes it from here; one line for each connection, at its end.',
    'log stdout format raw local0 info',
    '# Explicit, because all else follows from it: descriptors (two for each connection and about 100 more: LimitNOFILE of the',
    `# unit must be at least ${2 * options.maxConnections + 200}; \`haproxy -c\` does not notice, the start fails) and memory (about 26 kB for each`,
    `# wss connection, kernel included: ${gigabytes} GB when full).`,
    `maxconn ${options.maxConnections}`,
    '# After a reload the old process keeps its websockets this long, then cuts those that are left, all at once: reload with',
    '# `holdfast haproxy reload`, which ends them one by one before.',
    'hard-stop-after 30m',
    ...(options.stateFile === undefined ? [] : stateFileLines(options.stateFile)),
    ...(options.http2
      ? [
          '# No close-spread-time: at a reload every HTTP/2 connection hears so at once (GOAWAY). Its websockets go on, and a new one of the',
          '# same browser goes to the new process. Spread, it would come back on the old connection, to be ended once more.',
        ]
      : [
          '# Closing of idle keep-alive connections at a reload is spread (it does not spread websockets).',
          'close-spread-time 50s',
        ]),
    ...(options.http2
      ? [
          '# Websockets (streams) of one connection: all of them end when it does, and it is one place in the limits per source.',
          'tune.h2.max-concurrent-streams 100',
        ]
      : []),
    '# Health checks of many servers not in step.',
    'spread-checks 5',
    "# Handshakes are what a mass reconnect costs here: what exceeds these rates waits in the kernel's backlog instead of",
    '# starving the connections that are alive. Measure yours: about 1,000 handshakes a second and core with ECDSA P-256.',
    'maxsslrate 1000',
    'maxconnrate 4000',
    ...tlsLines(options),
    ...(options.privileged ? privilegedLines(options) : []),
  ]);
}

function stateFileLines(file: string): string[] {
  return [
    '# Drain, maintenance and weights over a reload: `holdfast haproxy reload` writes them for the new process and takes them away',
    '# again, lest a later start believes them. Must be there; empty is `echo 1 > FILE`.',
    `server-state-file ${quoted(file)}`,
  ];
}

function tlsLines({ tls }: FrontOptions): string[] {
  const both = [
    `ssl-default-bind-ciphersuites ${SUITES_13}`,
    'ssl-default-bind-curves X25519:prime256v1:secp384r1',
  ];
  if (tls === 'modern') {
    return [
      '# Mozilla "modern": TLS 1.3 only. Session tickets stay on: they make reconnects cheap.',
      ...both,
      'ssl-default-bind-options prefer-client-ciphers ssl-min-ver TLSv1.3',
    ];
  }
  return [
    '# Mozilla "intermediate": every browser since 2014. Session tickets stay on (Debian\'s example switches them off): they',
    '# make reconnects cheap.',
    `ssl-default-bind-ciphers ${CIPHERS_12}`,
    ...both,
    'ssl-default-bind-options prefer-client-ciphers ssl-min-ver TLSv1.2',
    'tune.ssl.default-dh-param 2048',
  ];
}

function privilegedLines({ hosts }: FrontOptions): string[] {
  const usesUnix = hosts.some(({ servers }) => servers.some(({ isUnix }) => isUnix));
  return [
    ...(usesUnix
      ? ['# No chroot: the paths of UNIX sockets would be relative to it.']
      : ['# Nothing to read for whoever breaks in.', 'chroot /var/lib/haproxy']),
    '# Root only opens ports and reads keys.',
    'user haproxy',
    'group haproxy',
    "# Runtime API: drain, weights, figures. Old processes are reached through the master socket that Debian's unit opens.",
    'stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners',
    'stats timeout 30s',
  ];
}

function defaultsSection(timeouts: FrontTimeouts, { stateFile }: FrontOptions): string {
  return section('defaults', [
    'mode http',
    'log global',
    '# No line for connections that sent nothing: port scans and TCP checks.',
    'option dontlognull',
    ...(stateFile === undefined ? [] : ['load-server-state-from-file global']),
    '# A server on the same network answers at once, or not at all; feeds the retries below.',
    'timeout connect 3s',
    '# For a complete request header; a trickling sender gets 408.',
    'timeout http-request 5s',
    '# Idle clients of fallback transports and health pages.',
    'timeout http-keep-alive 10s',
    '# Waiting for a free place when every server is at its maxconn; then 503.',
    'timeout queue 5s',
    `# A ping every ${timeouts.pingS} s keeps HTTP streams alive. Not longer "for websockets": before HAProxy 2.9 this is also the only`,
    '# limit on a TLS handshake.',
    `timeout client ${timeouts.idleS}s`,
    `timeout server ${timeouts.idleS}s`,
    '# Replaces both after the upgrade: three pings of the gateway. Traffic of either side re-arms it, so it frees what the',
    "# gateway forgot; dead clients are found by the gateway's pong deadline, and by tcp-ut below.",
    `timeout tunnel ${timeouts.tunnelS}s`,
    '# A side that closed its half while the other ignores it.',
    'timeout client-fin 10s',
    'timeout server-fin 10s',
    '# A health check that takes longer has failed.',
    'timeout check 2s',
    '# A draining or full gateway refuses an upgrade with 503: the request goes to another server at once, and the client',
    '# sees only the 101. Each attempt avoids no more than the server before it, so two that refuse get it in turns: a gateway',
    '# keeps the one that comes back for 2 s, in which the checks below find out, and one that does not answer at all is',
    '# marked down by its second failure. Five retries are enough for both.',
    'option redispatch 1',
    'retries 5',
    'retry-on conn-failure empty-response 503',
    '# A client that leaves an HTTP stream over HTTP/1.1 is gone for the gateway at once, not when it owes a pong.',
    'option abortonclose',
    '# No server takes anybody: said at once, and when to come back.',
    'http-error status 503 content-type text/plain string "no server has room" hdr Retry-After 5',
  ]);
}

function sources({ http2 }: FrontOptions): string {
  return section('backend sources', [
    `# Connections${http2 ? ' and requests' : ''} per source address. IPv6 keys hold IPv4 as well.`,
    `stick-table type ipv6 size 200k expire 2m store conn_cur,conn_rate(10s)${http2 ? ',http_req_rate(10s)' : ''}`,
  ]);
}

function frontend(config: Config, options: FrontOptions, timeouts: FrontTimeouts): string {
  const { bind, certificate, ticketKeys, perSource } = options;
  const tickets = ticketKeys === undefined ? '' : ` tls-ticket-keys ${quoted(ticketKeys)}`;
  return section('frontend wss', [
    ...(options.http2 ? HTTP2_LINES : HTTP1_LINES),
    `# tcp-ut: a peer that acknowledges nothing for ${timeouts.tcpUserS} s is gone (a ping, its pong deadline, and a fifth). A large backlog`,
    '# (with net.core.somaxconn) holds a storm.',
    ticketKeys === undefined
      ? '# Tickets end with the process: after a reload of HAProxy every client pays a full handshake once (--ticket-keys).'
      : '# The same ticket keys after a reload and on every HAProxy: sessions resume.',
    `bind ${quoted(bind)} ssl crt ${quoted(certificate)} alpn ${options.http2 ? 'h2,http/1.1' : 'http/1.1'}${tickets} tcp-ut ${timeouts.tcpUserS}s backlog ${BACKLOG}`,
    '',
    ...(perSource === undefined ? [] : [...sourceLines(perSource, options.http2), '']),
    '# For the log. The path without its query: that may hold a token.',
    'http-request capture path len 128',
    'http-request capture req.hdr(user-agent) len 128',
    '',
    '# Clients get the client endpoints. The API, metrics, health and the admin page are for the inner network: with',
    '# `http_server.internal_port` set, the gateway does not even serve them on the port that is used here.',
    `http-request deny deny_status 404 unless { path ${clientPaths(config).join(' ')} }`,
    '',
    ...canaryFrontLines(options.hosts, options.canaryFrom),
    '# The one true client address, whatever the client claimed.',
    'http-request del-header X-Forwarded-For',
    'http-request del-header Forwarded',
    'option forwardfor',
    'http-request set-header X-Forwarded-Proto https',
    "# The same id in this log and in the gateway's, which also knows by it who comes back from another server.",
    'http-request del-header X-Request-Id',
    'unique-id-format %[uuid()]',
    'unique-id-header X-Request-Id',
    '',
    ...logLines(options),
    '',
    'default_backend holdfast',
  ]);
}

/** Also of transports that are off: the gateway answers those with 404, and switching one on needs no change here. */
function clientPaths(config: Config): string[] {
  const { websocket, http_stream: stream, sse, emulation } = config;
  const { uni_websocket: uniWebsocket, uni_http_stream: uniStream, uni_sse: uniSse } = config;
  const all = [websocket, stream, sse, emulation, uniWebsocket, uniStream, uniSse];
  return all.map(({ handler_prefix: prefix }) => prefix);
}

const HTTP1_LINES = [
  '# HTTP/1.1 only, written out because HAProxy 2.8 and newer offer h2 by themselves: over h2 one stalled stream blocks all',
  '# websockets of a browser, Firefox closes them when HAProxy reloads, and limits per source no longer count them.',
];

const HTTP2_LINES = [
  '# HTTP/2 first: the websockets and requests of one browser share one TLS connection (RFC 8441). One stalled stream can block',
  '# the others, and Firefox closes its websockets when HAProxy reloads.',
];

function sourceLines(
  { connections, rate, trusted }: NonNullable<FrontOptions['perSource']>,
  http2: boolean,
): string[] {
  const unless = trusted.length === 0 ? '' : '!trusted ';
  return [
    '# Offices and mobile carriers share one address: keep the limits high, and list your own networks and monitors.',
    ...(trusted.length === 0 ? [] : [`acl trusted src ${trusted.join(' ')}`]),
    'tcp-request connection track-sc0 src table sources',
    http2
      ? '# Before TLS: the cheapest refusal. One connection carries up to 100 websockets over HTTP/2.'
      : '# Before TLS: the cheapest refusal. One websocket is one connection.',
    `tcp-request connection reject if ${unless}{ sc0_conn_cur gt ${connections} }`,
    '# A rate is answered, so that a well-behaved client knows when to come back.',
    `http-request return status 429 hdr Retry-After 10 content-type application/json string "{\\"error\\":\\"too many connections\\"}" if ${unless}{ ${http2 ? 'sc0_http_req_rate' : 'sc0_conn_rate'} gt ${rate} }`,
  ];
}

function logLines({ log }: FrontOptions): string[] {
  if (log === 'text') {
    return [
      "# HAProxy's usual line, with the path instead of the URL. A websocket is logged at its end.",
      'log-format "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %ID %HM %HPO %HV"',
    ];
  }
  return [
    '# One JSON line for a websocket, at its end: Tt is its lifetime, in and out its bytes, term who ended it.',
    `log-format '{"ts":"%[date(0,ms)]","id":"%ID","src":"%ci","port":%cp,"backend":"%b","server":"%s","method":"%HM","http":"%HV","path":"%[capture.req.hdr(0),json(utf8s)]","status":%ST,"term":"%tsc","Tq":%Tq,"Tw":%Tw,"Tc":%Tc,"Tr":%Tr,"Tt":%Tt,"in":%U,"out":%B,"retries":"%rc","conns":%fc,"tls":"%sslv","resumed":"%[ssl_fc_is_resumed]","ua":"%[capture.req.hdr(1),json(utf8s)]"}'`,
  ];
}

function apiFrontend(config: Config, bind: string): string {
  return section('frontend api', [
    '# Your back ends publish here: bind it to an address of the inner network only. Keep-alive, so one connection each.',
    `bind ${quoted(bind)}`,
    'option dontlog-normal',
    `http-request deny deny_status 404 unless { path_beg ${config.http_api.handler_prefix}/ }`,
    'default_backend holdfast_api',
  ]);
}

function opsFrontend(bind: string): string {
  return section('frontend ops', [
    '# Figures for Prometheus and a status page, on the inner network only.',
    `bind ${quoted(bind)}`,
    'option dontlog-normal',
    'http-request use-service prometheus-exporter if { path /metrics }',
    'stats enable',
    'stats uri /stats',
    'stats refresh 10s',
  ]);
}
