// What can be chosen for the HAProxy in front, and how hosts are written on a command line.
import { isIPv4 } from 'node:net';
import { ConfigError } from '../util/errors.ts';

export type Balance =
  | { readonly kind: 'leastconn' }
  | { readonly kind: 'source' }
  | { readonly kind: 'cookie' | 'url_param' | 'header'; readonly name: string };

/** One gateway process: a host has one, or two (blue and green). */
export interface FrontServer {
  readonly name: string;
  /** `10.0.0.11:8000` or `unix@/run/holdfast/gateway.sock`, as HAProxy writes it. */
  readonly address: string;
  readonly isUnix: boolean;
  /** Where health checks go when it is not the address itself. */
  readonly healthPort: number | undefined;
  readonly agentPort: number | undefined;
}

export interface FrontHost {
  readonly name: string;
  readonly servers: readonly FrontServer[];
}

export interface SourceLimits {
  /** Connections of one address at a time. */
  readonly connections: number;
  /** New ones in ten seconds. */
  readonly rate: number;
  /** Networks without limits. */
  readonly trusted: readonly string[];
}

export interface FrontOptions {
  readonly hosts: readonly FrontHost[];
  readonly balance: Balance;
  readonly tls: 'intermediate' | 'modern';
  readonly bind: string;
  /** Offer HTTP/2, and websockets in its streams (RFC 8441). */
  readonly http2: boolean;
  readonly certificate: string;
  /** Undefined: HAProxy makes random ones at every start. */
  readonly ticketKeys: string | undefined;
  /** Where the states of servers are kept during a reload; undefined: a reload forgets them. */
  readonly stateFile: string | undefined;
  readonly maxConnections: number;
  /** Undefined: no limits. */
  readonly perSource: SourceLimits | undefined;
  /** Figures and the status page; undefined: none. */
  readonly opsBind: string | undefined;
  /** The server API for the inner network; undefined: not through HAProxy. */
  readonly apiBind: string | undefined;
  /** Networks whose requests may ask for one server of a pair. */
  readonly canaryFrom: readonly string[];
  readonly log: 'json' | 'text';
  /** Started as root: change user, open the runtime socket. */
  readonly privileged: boolean;
}

export interface PortDefaults {
  readonly port: number;
  readonly healthPort: number | undefined;
  readonly agentPort: number | undefined;
}

const COLOURS = ['blue', 'green'] as const;
const ADDRESS_HINT =
  'write ADDRESS[:PORT], [IPV6]:PORT or unix:/PATH, then perhaps /health=PORT and /agent=PORT, and a second address after a comma for blue and green';

export function parseBalance(written: string): Balance {
  const [kind = '', name] = written.split(':');
  if ((kind === 'leastconn' || kind === 'source') && name === undefined) return { kind };
  if (kind === 'cookie' && name === undefined) return { kind, name: 'HOLDFAST' };
  if (
    (kind === 'cookie' || kind === 'url_param' || kind === 'header') &&
    /^[\w-]+$/.test(name ?? '') &&
    name !== undefined
  ) {
    return { kind, name };
  }
  throw new ConfigError(
    `--balance ${written}: expected leastconn, source, cookie, cookie:NAME, url_param:NAME or header:NAME`,
  );
}

/** `[NAME=]ADDRESS[,ADDRESS]`: the n-th host of the list, counted from 1. */
export function parseHost(written: string, number: number, defaults: PortDefaults): FrontHost {
  const [, givenName, rest = ''] = /^(?:([\w.-]+)=)?(.+)$/s.exec(written) ?? [];
  const name = givenName ?? `host${number}`;
  const addresses = rest.split(',');
  if (addresses.length > COLOURS.length) {
    throw hostError(
      written,
      'a comma joins a blue and a green gateway of one host; hosts have a space between them',
    );
  }
  const servers = addresses.map((address, index) => {
    const colour = addresses.length === 1 ? '' : `-${COLOURS[index] ?? ''}`;
    return parseServer(address, `${name}${colour}`, written, defaults);
  });
  return { name, servers };
}

function parseServer(address: string, name: string, written: string, defaults: PortDefaults): FrontServer {
  const match = /^(.+?)((?:\/(?:health|agent)=\d{1,5})*)$/.exec(address);
  const [, place = '', suffixes = ''] = match ?? [];
  const port = (kind: string): number | undefined => {
    const given = new RegExp(`/${kind}=(\\d+)`).exec(suffixes)?.[1];
    return given === undefined ? undefined : Number(given);
  };
  const ports = {
    name,
    healthPort: port('health') ?? defaults.healthPort,
    agentPort: port('agent') ?? defaults.agentPort,
  };
  for (const given of [port('health'), port('agent')]) {
    if (given !== undefined && !isPort(given)) throw hostError(written, `${given} is no port`);
  }
  if (place.startsWith('unix:/') && !/[\s"'\\#]/.test(place)) {
    return { ...ports, address: `unix@${place.slice('unix:'.length)}`, isUnix: true };
  }
  // A variable of HAProxy's environment stands for all of it.
  if (/^\$\{\w+\}$/.test(place)) return { ...ports, address: place, isUnix: false };
  const [, host, given] = /^(\[[\da-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/.exec(place) ?? [];
  if (host === undefined) throw hostError(written, mistakeIn(place));
  if (/^[\d.]+$/.test(host) && !isIPv4(host)) throw hostError(written, `${host} is no IPv4 address`);
  if (given !== undefined && !isPort(Number(given))) throw hostError(written, `${given} is no port`);
  return { ...ports, address: `${host}:${given ?? defaults.port}`, isUnix: false };
}

export function isPort(port: number): boolean {
  return port > 0 && port <= 65_535;
}

/** What people write most often instead. */
function mistakeIn(place: string): string {
  if (/^\w+:\/\//.test(place)) return 'without the scheme';
  if (/^[\da-f]*:[\da-f:.]*:[\da-f.]*$/i.test(place)) return `an IPv6 address stands in brackets: [${place}]`;
  if (place.startsWith('unix:')) return 'the path of a UNIX socket begins with / and has no spaces or quotes';
  return ADDRESS_HINT;
}

function hostError(written: string, mistake: string): ConfigError {
  return new ConfigError(`host ${written === '' ? "''" : written}: ${mistake}`);
}

/** HAProxy tells servers apart by name alone. */
export function expectDistinctNames(hosts: readonly FrontHost[]): void {
  const seen = new Set<string>();
  for (const { name } of hosts.flatMap(({ servers }) => servers)) {
    if (seen.has(name))
      throw new ConfigError(`two servers are named ${name}: give each host a NAME= of its own`);
    seen.add(name);
  }
}
