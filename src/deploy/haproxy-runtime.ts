// One HAProxy through its runtime socket: what its servers are doing, and who gets new clients.
import { connect, type NetConnectOpts } from 'node:net';
import { text } from 'node:stream/consumers';
import { UnavailableError, messageOf } from '../util/errors.ts';
import { COLOURS, type Situation } from './plan.ts';

const ANSWER_TIMEOUT_MS = 5000;

export interface ServerState {
  readonly name: string;
  /** As HAProxy words it: `UP`, `UP 1/3`, `DRAIN`, `DRAIN (agent)`, `MAINT`, `DOWN`, `no check`. */
  readonly status: string;
  readonly sessions: number;
}

export class HaproxyRuntime {
  /** The path of its socket, or `host:port`. */
  readonly address: string;

  constructor(address: string) {
    this.address = address;
  }

  /** Fails with UnavailableError when HAProxy is not there or refuses. */
  async servers(backend: string): Promise<readonly ServerState[]> {
    return parseServers(await this.#ask('show stat'), backend);
  }

  /** New clients come, weighted by the server's agent when it has one. */
  async release(server: string): Promise<void> {
    await this.#tell(`set server ${server} state ready`);
    await this.#tell(`enable agent ${server}`);
  }

  /** No new clients, whatever its agent says; checks go on, and so does whoever is pinned to it. */
  async hold(server: string): Promise<void> {
    await this.#tell(`disable agent ${server}`);
    await this.#tell(`set server ${server} state drain`);
  }

  /**
   * No new clients and no checks, which would have systemd start a gateway again that is to end. Connections that exist
   * stay.
   */
  async retire(server: string): Promise<void> {
    await this.#tell(`disable agent ${server}`);
    await this.#tell(`set server ${server} state maint`);
  }

  async #tell(command: string): Promise<void> {
    const answer = (await this.#ask(command)).trim();
    // Servers without an agent are as good.
    if (answer === '' || /agent was not configured/i.test(answer)) return;
    throw new UnavailableError(`HAProxy at ${this.address} answers \`${command}\` with: ${answer}`);
  }

  async #ask(command: string): Promise<string> {
    const socket = connect({ ...this.#place() });
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy(new Error('it does not answer')));
    // The newline ends the command: HAProxy answers and hangs up.
    socket.write(`${command}\n`);
    try {
      return await text(socket);
    } catch (cause) {
      const reason = messageOf(cause);
      throw new UnavailableError(
        `HAProxy at ${this.address}: ${reason} (--haproxy names its runtime socket)`,
        { cause },
      );
    } finally {
      socket.destroy();
    }
  }

  #place(): NetConnectOpts {
    const [, host, port] = /^\[?([^/]+?)\]?:(\d+)$/.exec(this.address) ?? [];
    return host === undefined ? { path: this.address } : { host, port: Number(port) };
  }
}

/** Of `show stat`: CSV whose first line names the fields. No field that is read here can hold a comma. */
export function parseServers(csv: string, backend: string): readonly ServerState[] {
  const [head = '', ...rows] = csv.split('\n');
  const names = head.replace(/^# /, '').split(',');
  const at = (fields: readonly string[], name: string): string => fields[names.indexOf(name)] ?? '';
  return rows
    .map((row) => row.split(','))
    .filter(
      (row) => at(row, 'pxname') === backend && !['FRONTEND', 'BACKEND', ''].includes(at(row, 'svname')),
    )
    .map((row) => ({
      name: at(row, 'svname'),
      status: at(row, 'status'),
      sessions: Number(at(row, 'scur')),
    }));
}

/** The part of the name before the colour, when there is one pair, or the one asked for; a text says why not. */
export function findPair(
  servers: readonly ServerState[],
  host: string | undefined,
): { readonly host: string } | string {
  const names = new Set(servers.map(({ name }) => name));
  const hosts = [...names].flatMap((name) => {
    const [, found] = /^(.+)-blue$/.exec(name) ?? [];
    return found !== undefined && names.has(`${found}-green`) ? [found] : [];
  });
  if (host !== undefined) {
    return hosts.includes(host) ? { host } : `it has no servers ${host}-blue and ${host}-green`;
  }
  const [only, ...more] = hosts;
  if (only === undefined)
    return 'it has no pair of servers NAME-blue and NAME-green (see `holdfast haproxy --help`)';
  if (more.length > 0) return `it has several pairs: say which one with --host (${hosts.join(', ')})`;
  return { host: only };
}

/** What it says of both. `UP` alone is up: after its start it takes every server for `UP 1/3` until the first check. */
export function pairIn(servers: readonly ServerState[], host: string): Situation['inFront'] {
  return COLOURS.flatMap((colour) =>
    servers
      .filter(({ name }) => name === `${host}-${colour}`)
      .map(({ status, sessions }) => ({ colour, isUp: status === 'UP', sessions })),
  );
}
