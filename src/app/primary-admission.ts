// What stands between the primary's listening sockets and its workers: reading heads, admission, assigning.
import type { Socket } from 'node:net';
import { AdmissionDesk, type AdmissionSettings } from '../cluster/admission/admission-desk.ts';
import { ConnectionAssigner, defaultAssignPolicy } from '../cluster/assignment/connection-assigner.ts';
import { defaultHeadLimits, HeadReader } from '../cluster/admission/head-reader.ts';
import type { DoorKind, ToPrimary } from '../cluster/ipc.ts';
import type { Refusal } from '../cluster/admission/refusal.ts';
import type { RequestHead } from '../cluster/admission/request-head.ts';
import type { WorkerObserver } from '../cluster/supervisor.ts';
import type { WorkerProcess } from '../cluster/worker-process.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../observe/logger.ts';
import { systemClock } from '../util/clock.ts';
import { isFull } from './host-room.ts';
import type { PrimaryMetrics } from './primary-metrics.ts';

export interface PrimaryAdmissionDeps {
  readonly logger: Logger;
  readonly metrics: PrimaryMetrics;
  readonly isLeaving: () => boolean;
  /** Gives a connection whose head has been read to another primary; false when it stays here. */
  readonly passOn: (socket: Socket, head: RequestHead, bytes: Buffer) => boolean;
  /** By descriptors; null when nobody knows. */
  readonly connectionsAllowed: () => number | null;
}

const LEAVING: Refusal = {
  status: 503,
  reason: 'this host is leaving',
  retryAfterS: 2,
  isKnownSoon: true,
};
const FULL: Refusal = { status: 503, reason: 'connection_limit', retryAfterS: 5, isKnownSoon: true };
const OVERLOADED: Refusal = { status: 503, reason: 'overloaded', retryAfterS: 5, isKnownSoon: true };

export class PrimaryAdmission implements WorkerObserver {
  readonly assigner: ConnectionAssigner;
  readonly heads: HeadReader;
  readonly desk: AdmissionDesk;
  readonly #deps: PrimaryAdmissionDeps;
  #config: Config;

  constructor(deps: PrimaryAdmissionDeps, config: Config) {
    this.#deps = deps;
    this.#config = config;
    const { logger, metrics } = deps;
    const clock = systemClock;
    const onRefused = (reason: string): void => metrics.refused(reason);
    this.assigner = new ConnectionAssigner(
      { clock, logger, onRefused, onSettled: () => this.desk.onRoom() },
      defaultAssignPolicy,
    );
    this.desk = new AdmissionDesk(
      {
        clock,
        random: Math.random,
        onRefused,
        isNewClient: (head) => isNewClient(head, this.#config),
        closedFor: () => this.#closedFor(),
        onTheWay: () => this.assigner.onTheWay,
        letIn: (socket, head, bytes) => this.assigner.accept(socket, head, bytes),
        passBy: (socket, head, bytes) => this.assigner.acceptRequest(socket, head, bytes),
        onLetIn: (waitedMs) => metrics.letIn(waitedMs),
      },
      settingsOf(config),
    );
    this.heads = new HeadReader(
      {
        clock,
        onRefused,
        onHead: (socket, head, bytes) => {
          if (!deps.passOn(socket, head, bytes)) this.desk.arrive(socket, head, bytes);
        },
      },
      defaultHeadLimits,
    );
    metrics.exposeAdmission(this.desk);
  }

  /** New connections that wait for their turn. */
  get queued(): number {
    const { returning, new: others } = this.desk.waiting;
    return returning + others;
  }

  /** One that another primary has accepted. */
  accept(socket: Socket, door: DoorKind): void {
    if (door === 'internal') this.assigner.acceptInternal(socket);
    else this.heads.accept(socket);
  }

  /** The configuration that workers have from now on. */
  configure(config: Config): void {
    this.#config = config;
    this.desk.configure(settingsOf(config));
  }

  message(process: WorkerProcess, message: ToPrimary): void {
    if (message.type === 'load') this.desk.onLoad(process.slot, message);
  }

  /** Everybody who is not with a worker yet goes to somebody else, with what was read from them. */
  giveAway(take: (socket: Socket, bytes: Buffer) => void): void {
    this.desk.giveAway(take);
    this.heads.giveAway(take);
  }

  /** The whole host leaves. */
  drain(): void {
    this.desk.dismiss();
    this.assigner.drain();
  }

  /** May be called twice. */
  close(): void {
    this.heads.close();
    this.desk.close();
    this.assigner.close();
  }

  #closedFor(): Refusal | undefined {
    if (this.#deps.isLeaving()) return LEAVING;
    const { clients, requests } = this.assigner;
    const arrived = { clients, requests, queued: this.queued };
    if (isFull(arrived, this.#config, this.#deps.connectionsAllowed())) return FULL;
    return this.assigner.isOverloaded ? OVERLOADED : undefined;
  }
}

function settingsOf({ admission, workers }: Config): AdmissionSettings {
  return {
    acceptRate: admission.accept_rate,
    queueTimeMs: admission.queue_time,
    maxQueued: admission.max_queued,
    addressRate: admission.address_rate,
    addressBurst: admission.address_burst,
    trustedProxies: admission.trusted_proxies,
    workers,
  };
}

/** A request that would begin a connection, by any transport; a browser's question whether it may is none. */
function isNewClient(head: RequestHead, config: Config): boolean {
  if (head.upgrade) return true;
  if (head.method === 'OPTIONS') return false;
  const path = head.target.split('?')[0];
  const { http_stream: httpStream, sse, uni_http_stream: uniHttpStream, uni_sse: uniSse } = config;
  return [httpStream, sse, uniHttpStream, uniSse].some(({ handler_prefix: prefix }) => path === prefix);
}
