// The sockets at which the primary listens: for clients, for back ends and for HAProxy's agent check; opened, or taken over from the primary
// that this one replaces.
import { closeSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { AgentCheck } from '../cluster/load/agent-check.ts';
import { type ListenAddress, placeName, PublicListener } from '../cluster/public-listener.ts';
import { activatedSockets } from '../cluster/socket-activation.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../observe/logger.ts';

export interface PrimaryDoorsDeps {
  readonly logger: Logger;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly onConnection: (socket: Socket) => void;
  /** At the internal port. */
  readonly onInternal: (socket: Socket) => void;
  readonly agentAnswer: () => string;
  /** Inherited, by the names of their places. */
  readonly inherited: Sockets;
}

export type Sockets = readonly (readonly [place: string, fd: number])[];

export interface OpenDoors {
  readonly listening: readonly string[];
  /** The internal port, when there is one. */
  readonly internal: readonly string[];
  /** Of the WebSocket endpoint. */
  readonly url: string;
  readonly agent: string | undefined;
}

/** Of a place that systemd opened: `fd <name> <number>`. */
const ACTIVATED = /^fd (.*) \d+$/;
const UNIX = /^unix (.*)$/;
/** Before the name of a place, and before what is said of it. */
const INTERNAL = 'internal ';

export class PrimaryDoors {
  readonly #deps: PrimaryDoorsDeps;
  readonly #config: Config;
  readonly #listener: PublicListener;
  readonly #internal: PublicListener;
  readonly #agent: AgentCheck | undefined;

  constructor(deps: PrimaryDoorsDeps, config: Config) {
    this.#deps = deps;
    this.#config = config;
    const { logger, onConnection, agentAnswer } = deps;
    this.#listener = new PublicListener({ logger, onConnection });
    this.#internal = new PublicListener({ logger, onConnection: deps.onInternal, name: INTERNAL });
    this.#agent = config.agent_check.enabled ? new AgentCheck({ logger, answer: agentAnswer }) : undefined;
  }

  async open(): Promise<OpenDoors> {
    const { address, port } = this.#config.http_server;
    const inherited = new Map(this.#deps.inherited);
    const listening: string[] = [];
    for (const place of this.#places()) {
      listening.push(await this.#listener.listen(place, inherited.get(placeName(place))));
    }
    const internal: string[] = [];
    for (const place of internalPlaces(this.#config)) {
      internal.push(await this.#internal.listen(place, inherited.get(`${INTERNAL}${placeName(place)}`)));
    }
    const { address: agentAddress, port: agentPort } = this.#config.agent_check;
    const agentFd = inherited.get(agentPlace(this.#config));
    const agent = await this.#agent?.listen(agentAddress, agentPort, agentFd);
    const boundPort = /:(\d+)$/.exec(listening[0] ?? '')?.[1] ?? String(port);
    const url = `ws://${urlHost(address)}:${boundPort}${this.#config.websocket.handler_prefix}`;
    return { listening, internal, url, agent };
  }

  get descriptors(): Sockets {
    const agentFd = this.#agent?.descriptor;
    const agent = agentFd === undefined ? [] : [[agentPlace(this.#config), agentFd] as const];
    const internal = this.#internal.descriptors.map(([place, fd]) => [`${INTERNAL}${place}`, fd] as const);
    return [...this.#listener.descriptors, ...internal, ...agent];
  }

  /** Inherited sockets that nobody listens at any more would let clients wait for ever. */
  closeUnused(): void {
    const used = new Set(this.descriptors.map(([, fd]) => fd));
    for (const [place, fd] of this.#deps.inherited) {
      if (used.has(fd)) continue;
      closeSync(fd);
      const path = UNIX.exec(place)?.[1];
      if (path !== undefined) rmSync(path, { force: true });
    }
  }

  /** Nobody is let in any more; handed over, the places live on elsewhere. May be called twice. */
  async close(isHandedOver = false): Promise<void> {
    this.#listener.close(isHandedOver);
    this.#internal.close(isHandedOver);
    await this.#agent?.close();
  }

  #places(): readonly ListenAddress[] {
    const { address, port, unix_socket: unixSocket } = this.#config.http_server;
    const host = address === '' ? undefined : address;
    const activated = [
      ...activatedSockets(this.#deps.environment, process.pid),
      ...this.#deps.inherited.flatMap(([place, fd]) => {
        const name = ACTIVATED.exec(place)?.[1];
        return name === undefined ? [] : [{ kind: 'fd', fd, name } as const];
      }),
    ];
    const places: ListenAddress[] = activated.length > 0 ? activated : [{ kind: 'tcp', host, port }];
    if (unixSocket !== '') places.push({ kind: 'unix', path: unixSocket });
    return places;
  }
}

function internalPlaces({
  http_server: { internal_address: address, internal_port: port },
}: Config): readonly ListenAddress[] {
  return port === null ? [] : [{ kind: 'tcp', host: address === '' ? undefined : address, port }];
}

function agentPlace({ agent_check: { address, port } }: Config): string {
  return `agent ${address} ${port}`;
}

function urlHost(address: string): string {
  if (address === '' || address === '0.0.0.0' || address === '::') return 'localhost';
  return address.includes(':') ? `[${address}]` : address;
}
