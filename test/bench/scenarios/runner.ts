// Runs a scenario: rounds over its servers, everything a measurement started stopped again, failures noted.
import { messageOf } from '../../../src/util/errors.ts';
import { GeneratorProcess } from '../load/generator-process.ts';
import { type Placement, place } from '../measure/cpus.ts';
import type { ServerUnderTest } from '../servers/running.ts';
import type { Subject } from '../servers/subjects.ts';
import type { Run, Sample, Scenario } from './scenario.ts';

export interface RunnerDeps {
  readonly options: Pick<Run, 'smoke' | 'acknowledge' | 'durationMs'>;
  /** For the Node processes of the servers. */
  readonly nodeArgs: readonly string[];
  readonly progress: (text: string) => void;
}

export interface RoundsPlan {
  readonly scenario: Scenario;
  readonly subjects: readonly Subject[];
  readonly rounds: number;
  /** Undefined: servers and generators share all CPUs. */
  readonly placement: Placement | undefined;
}

export interface RunListener {
  readonly onSample: (subject: Subject, round: number, sample: Sample) => void;
  readonly onFailure: (subject: Subject, round: number, message: string) => void;
}

export class Runner {
  readonly #deps: RunnerDeps;
  readonly #servers = new Map<string, ServerUnderTest>();
  #generators: GeneratorProcess[] = [];
  #stopped = false;

  constructor(deps: RunnerDeps) {
    this.#deps = deps;
  }

  async run(plan: RoundsPlan, listener: RunListener): Promise<void> {
    for (let round = 1; round <= plan.rounds; round++) {
      for (const subject of plan.subjects) {
        if (this.#stopped) return;
        await this.#measure(plan, subject, round, listener);
      }
    }
  }

  /** Ends every process at once; for a benchmark that was interrupted. */
  kill(): void {
    this.#stopped = true;
    this.#killGenerators();
    for (const server of this.#servers.values()) server.kill();
  }

  /** Stops what is still running. */
  async close(): Promise<void> {
    this.#killGenerators();
    const servers = [...this.#servers.values()];
    this.#servers.clear();
    await Promise.all(servers.map(async (server) => server.stop()));
  }

  async #measure(
    { scenario, rounds, placement }: RoundsPlan,
    subject: Subject,
    round: number,
    listener: RunListener,
  ): Promise<void> {
    const { options, progress } = this.#deps;
    const say = (text: string): void => {
      progress(`${scenario.name} ${round}/${rounds} ${subject.name}: ${text}`);
    };
    let failed = false;
    try {
      say('starting');
      const run: Run = {
        ...options,
        server: async (wanted) => this.#server(wanted, placement),
        generator: (name, more) => this.#generator(name, more ?? {}, say, placement),
        progress: say,
      };
      listener.onSample(subject, round, await scenario.measure(subject, run));
    } catch (error) {
      failed = true;
      const output = this.#servers.get(subject.name)?.output.trim() ?? '';
      const message = messageOf(error);
      if (!this.#stopped) {
        listener.onFailure(subject, round, output === '' ? message : `${message}\n${output}`);
      }
    } finally {
      say('stopping');
      // A smoke run uses a server for all scenarios that leave its processes as they are; a measurement wants a fresh one.
      if (failed || !options.smoke || scenario.replacesProcesses === true) await this.close();
      else this.#killGenerators();
    }
  }

  async #server(subject: Subject, placement: Placement | undefined): Promise<ServerUnderTest> {
    const server = this.#servers.get(subject.name) ?? (await this.#start(subject));
    if (placement !== undefined) place(server.pids, placement.servers);
    return server;
  }

  async #start(subject: Subject): Promise<ServerUnderTest> {
    const { options, nodeArgs } = this.#deps;
    const server = await subject.start({ acknowledge: options.acknowledge, nodeArgs });
    this.#servers.set(subject.name, server);
    return server;
  }

  #generator(
    name: string,
    more: { firstPublisher?: number; light?: boolean },
    onProgress: (text: string) => void,
    placement: Placement | undefined,
  ): GeneratorProcess {
    const { firstPublisher = 0, light = false } = more;
    const generator = new GeneratorProcess({ name, firstPublisher, light, onProgress });
    this.#generators.push(generator);
    if (placement !== undefined) place([generator.pid], placement.generators);
    return generator;
  }

  #killGenerators(): void {
    for (const generator of this.#generators) generator.kill();
    this.#generators = [];
  }
}
