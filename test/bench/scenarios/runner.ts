// Runs a scenario: rounds over its servers, everything a measurement started stopped again, failures noted.
import { GeneratorProcess } from '../load/generator-process.ts';
import type { RunningServer } from '../servers/running.ts';
import type { Subject } from '../servers/subjects.ts';
import type { Run, Sample, Scenario } from './scenario.ts';

export interface RunnerDeps {
  readonly options: Pick<Run, 'smoke' | 'acknowledge' | 'durationMs'>;
  /** For the Node processes of the servers. */
  readonly nodeArgs: readonly string[];
  readonly progress: (text: string) => void;
  readonly onSample: (subject: Subject, round: number, sample: Sample) => void;
  readonly onFailure: (subject: Subject, round: number, message: string) => void;
}

export class Runner {
  readonly #deps: RunnerDeps;
  #servers: RunningServer[] = [];
  #generators: GeneratorProcess[] = [];
  #stopped = false;

  constructor(deps: RunnerDeps) {
    this.#deps = deps;
  }

  async run(scenario: Scenario, subjects: readonly Subject[], rounds: number): Promise<void> {
    for (let round = 1; round <= rounds; round++) {
      for (const subject of subjects) {
        if (this.#stopped) return;
        await this.#measure(scenario, subject, round, `${scenario.name} ${round}/${rounds} ${subject.name}`);
      }
    }
  }

  /** Ends every process at once; for a benchmark that was interrupted. */
  kill(): void {
    this.#stopped = true;
    for (const generator of this.#generators) generator.kill();
    for (const server of this.#servers) server.kill();
  }

  async #measure(scenario: Scenario, subject: Subject, round: number, where: string): Promise<void> {
    const { options, progress, onSample, onFailure } = this.#deps;
    const say = (text: string): void => {
      progress(`${where}: ${text}`);
    };
    try {
      say('starting');
      onSample(
        subject,
        round,
        await scenario.measure(subject, {
          ...options,
          server: async (wanted) => this.#server(wanted),
          generator: (name, more) => this.#generator(name, more ?? {}, say),
          progress: say,
        }),
      );
    } catch (error) {
      const output = this.#servers.map((server) => server.output.trim()).join('\n');
      const message = error instanceof Error ? error.message : String(error);
      if (!this.#stopped) onFailure(subject, round, output === '' ? message : `${message}\n${output}`);
    } finally {
      say('stopping');
      await this.#stopAll();
    }
  }

  async #server(subject: Subject): Promise<RunningServer> {
    const server = await subject.start({
      acknowledge: this.#deps.options.acknowledge,
      nodeArgs: this.#deps.nodeArgs,
    });
    this.#servers.push(server);
    return server;
  }

  #generator(
    name: string,
    more: { firstPublisher?: number; light?: boolean },
    onProgress: (text: string) => void,
  ): GeneratorProcess {
    const { firstPublisher = 0, light = false } = more;
    const generator = new GeneratorProcess({ name, firstPublisher, light, onProgress });
    this.#generators.push(generator);
    return generator;
  }

  async #stopAll(): Promise<void> {
    for (const generator of this.#generators) generator.kill();
    this.#generators = [];
    const servers = this.#servers;
    this.#servers = [];
    await Promise.all(servers.map(async (server) => server.stop()));
  }
}
