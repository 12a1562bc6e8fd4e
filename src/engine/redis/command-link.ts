// The connection to a server over which everything but deliveries goes. Knows the scripts, and which server this is.
import { type Argument, Link, type LinkDeps } from './link.ts';
import { asEngineError, endsConnection, RedisReplyError } from './redis-error.ts';
import type { Script, Scripts } from './scripts.ts';
import { checkServer } from './server-check.ts';

export type CommandLinkDeps = Omit<LinkDeps, 'prepare'> & { readonly scripts: Scripts };

export class CommandLink {
  readonly #link: Link;
  readonly #scripts: Scripts;
  #runId = '';

  constructor(deps: CommandLinkDeps) {
    this.#scripts = deps.scripts;
    this.#link = new Link({ ...deps, prepare: () => this.#prepare() });
  }

  get up(): boolean {
    return this.#link.up;
  }
  get stats(): Pick<Link, 'pendingCalls' | 'queuedBytes' | 'failedCalls' | 'connects'> {
    return this.#link;
  }
  get failure(): string {
    return this.#link.failure;
  }
  /** Of this start of the server; '' when it may not be asked. */
  get runId(): string {
    return this.#runId;
  }

  open(): void {
    this.#link.open();
  }

  refusal(): Error | undefined {
    return this.#link.refusal();
  }

  /** Rejects with RedisReplyError or UnavailableError. */
  async call(command: string, args: readonly Argument[], bytes: number): Promise<unknown> {
    try {
      return await this.#link.call(command, args, bytes);
    } catch (error) {
      if (error instanceof RedisReplyError && endsConnection(error)) this.#link.reset(error.message);
      throw error;
    }
  }

  /**
   * All scripts were loaded when the connection came up. Where one is missing it is sent along; only then may a call that was
   * made at the same time overtake it.
   */
  async run(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
    bytes: number,
  ): Promise<unknown> {
    try {
      return await this.call('EVALSHA', [script.sha, keys.length, ...keys, ...args], bytes);
    } catch (error) {
      if (!(error instanceof RedisReplyError) || error.kind !== 'NOSCRIPT') throw error;
      return this.call('EVAL', [script.source, keys.length, ...keys, ...args], bytes);
    }
  }

  reset(reason: string): void {
    this.#link.reset(reason);
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  async #prepare(): Promise<void> {
    const link = this.#link;
    const loads = Object.values(this.#scripts).map((script: Script) =>
      link.callAnyway('SCRIPT', ['LOAD', script.source]),
    );
    const [runId] = await Promise.all([checkServer(link), ...loads]);
    this.#runId = runId;
  }
}

/** For calls whose callers are outside of this folder. */
export async function translated<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw asEngineError(error);
  }
}
