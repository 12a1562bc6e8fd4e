// A primary made of the parts under test, in the test's own process, with echo workers: accepts, assigns, supervises.
import { fileURLToPath } from 'node:url';
import {
  ConnectionAssigner,
  type AssignPolicy,
  defaultAssignPolicy,
} from '../../src/cluster/assignment/connection-assigner.ts';
import { defaultHeadLimits, HeadReader, type HeadLimits } from '../../src/cluster/admission/head-reader.ts';
import { defaultHeartbeatPolicy, Heartbeat, type HeartbeatPolicy } from '../../src/cluster/load/heartbeat.ts';
import { HostSurvey } from '../../src/cluster/load/host-survey.ts';
import { PublicListener } from '../../src/cluster/public-listener.ts';
import type { SlotPolicy } from '../../src/cluster/slot-state.ts';
import { defaultSlotPolicy, Supervisor } from '../../src/cluster/supervisor.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { systemClock } from '../../src/util/clock.ts';
import type { Scope } from './scope.ts';
import { waitFor } from './wait-for.ts';

export interface EchoHostOptions {
  readonly workers?: number;
  readonly config?: unknown;
  readonly assignPolicy?: Partial<AssignPolicy>;
  readonly headLimits?: Partial<HeadLimits>;
  readonly slotPolicy?: Partial<SlotPolicy>;
  readonly heartbeatPolicy?: Partial<HeartbeatPolicy>;
}

export class EchoHost {
  readonly refusals: string[] = [];
  readonly assigner: ConnectionAssigner;
  readonly heads: HeadReader;
  readonly supervisor: Supervisor;
  readonly survey = new HostSurvey();
  readonly heartbeat: Heartbeat;
  readonly listener: PublicListener;
  readonly internal: PublicListener;
  port = 0;
  internalPort = 0;

  constructor(options: EchoHostOptions) {
    const logger = createLogger({ level: 'silent', role: 'primary' });
    const clock = systemClock;
    const onRefused = (reason: string): void => {
      this.refusals.push(reason);
    };
    this.assigner = new ConnectionAssigner(
      { clock, logger, onRefused, onSettled: () => undefined },
      { ...defaultAssignPolicy, ...options.assignPolicy },
    );
    this.heads = new HeadReader(
      {
        clock,
        onRefused,
        onHead: (socket, head, bytes) => {
          if (head.upgrade) this.assigner.accept(socket, head, bytes);
          else this.assigner.acceptRequest(socket, head, bytes);
        },
      },
      { ...defaultHeadLimits, ...options.headLimits },
    );
    this.heartbeat = new Heartbeat(
      {
        logger,
        isDebugged: () => false,
        onSilence: (worker, silence) => {
          this.assigner.suspend(worker, silence !== 'answering');
          if (silence === 'hung') this.supervisor.hung(worker);
        },
      },
      { ...defaultHeartbeatPolicy, ...options.heartbeatPolicy },
    );
    this.supervisor = new Supervisor(
      {
        clock,
        logger,
        random: () => 0,
      },
      {
        exec: fileURLToPath(new URL('echo-worker.js', import.meta.url)),
        args: [],
        workers: options.workers ?? 2,
        policy: { ...defaultSlotPolicy, ...options.slotPolicy },
        facts: { config: options.config ?? {}, engineSocketPath: '' },
      },
    );
    this.supervisor.observe(this.assigner, this.survey, this.heartbeat);
    this.listener = new PublicListener({ logger, onConnection: (socket) => this.heads.accept(socket) });
    this.internal = new PublicListener({
      logger,
      onConnection: (socket) => this.assigner.acceptInternal(socket),
    });
  }

  static async start(scope: Scope, options: EchoHostOptions = {}): Promise<EchoHost> {
    const host = await EchoHost.listen(scope, options);
    host.startWorkers();
    return host;
  }

  /** It has no workers yet. */
  static async listen(scope: Scope, options: EchoHostOptions = {}): Promise<EchoHost> {
    const host = new EchoHost(options);
    scope.teardown(() => host.stop());
    const anywhere = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;
    host.port = Number((await host.listener.listen(anywhere)).split(':').at(-1));
    host.internalPort = Number((await host.internal.listen(anywhere)).split(':').at(-1));
    return host;
  }

  startWorkers(): void {
    this.supervisor.start();
    this.heartbeat.start();
  }

  /** Waits until so many workers are ready. */
  async ready(workers: number): Promise<void> {
    await waitFor(`${workers} ready workers`, () => this.readySlots.length === workers);
  }

  get readySlots(): number[] {
    return this.supervisor.slots().flatMap(({ slot, state }) => (state.name === 'ready' ? [slot] : []));
  }

  connectionsOf(slot: number): number {
    const process = this.supervisor.slots().find((view) => view.slot === slot)?.process;
    return process === undefined ? 0 : this.assigner.clientsOf(process);
  }

  async stop(): Promise<void> {
    this.listener.close();
    this.internal.close();
    this.heads.close();
    this.assigner.close();
    this.supervisor.leave(0, 2000);
    await this.supervisor.whenStopped();
    this.heartbeat.close();
  }
}
