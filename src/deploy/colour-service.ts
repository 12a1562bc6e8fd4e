// One colour of the pair on this host: how it is started and stopped, and what its gateway says through its control socket.
import { spawn } from 'node:child_process';
import { type ControlClient, connectControl, NoGatewayError } from '../cluster/control/control-client.ts';
import { HoldfastError, UnavailableError } from '../util/errors.ts';
import type { Colour } from './plan.ts';

export interface ColourPlaces {
  readonly colour: Colour;
  readonly controlSocket: string;
  /** For a shell. */
  readonly startCommand: string;
  readonly stopCommand: string;
}

/** What matters here of its status; it may be of another version. */
export interface ColourStatus {
  readonly state: string;
  readonly version: string;
  readonly connections: number;
  readonly restarts: number;
  /** Where it listens: the internal port first. */
  readonly addresses: readonly string[];
}

/** A command, a check or a gateway did not do what it should. */
export class DeployError extends HoldfastError {
  constructor(message: string, options?: ErrorOptions) {
    super('HOLDFAST_DEPLOY', message, options);
  }
}

const KEPT_OUTPUT = 2000;

export class ColourService {
  readonly places: ColourPlaces;

  constructor(places: ColourPlaces) {
    this.places = places;
  }

  start(signal: AbortSignal): Promise<void> {
    return this.shell(this.places.startCommand, signal);
  }

  stop(signal: AbortSignal): Promise<void> {
    return this.shell(this.places.stopCommand, signal);
  }

  /** Rejects with what it printed when it fails. */
  async shell(command: string, signal: AbortSignal): Promise<void> {
    const child = spawn('/bin/sh', ['-c', command], {
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    });
    let output = '';
    const keep = (chunk: string): void => {
      output = (output + chunk).slice(-KEPT_OUTPUT);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    await new Promise<void>((resolve, reject) => {
      const fail = (how: string): void =>
        reject(new DeployError([`\`${command}\` ${how}`, output.trim()].filter(Boolean).join(': ')));
      child.once('error', ({ message }) => fail(message));
      // `exit` and not `close`: what it started in the background may keep its output open.
      child.once('exit', (code, killedBy) => {
        if (code === 0) resolve();
        else fail(killedBy === null ? `ended with ${code}` : `was ended by ${killedBy}`);
      });
    });
    child.stdout.destroy();
    child.stderr.destroy();
  }

  /** Undefined when no gateway is there; rejects with UnavailableError when one is there and does not answer. */
  async status(): Promise<ColourStatus | undefined> {
    return this.#ask(async (control) => readStatus(await control.request('status')));
  }

  /**
   * Resolves when all its connections are closed; a gateway that is not there has none. It runs on, so that nothing starts
   * it again. `windowMs`: over this time; null is as the other hosts can take them.
   */
  async drain(
    windowMs: number | null,
    onRemaining: (remaining: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#ask(async (control) => {
      // The drain itself goes on.
      const stop = (): void => control.close();
      signal.addEventListener('abort', stop, { once: true });
      try {
        await control.request('drain', { windowMs, ends: false }, (value) => {
          const remaining = remainingOf(value);
          if (remaining !== undefined) onRemaining(remaining);
        });
      } finally {
        signal.removeEventListener('abort', stop);
      }
    });
  }

  /** Whether it serves again; not when it has been told to end. */
  async abortDrain(): Promise<boolean> {
    const isAborted = this.#ask((control) =>
      control.request('drain-abort').then(
        () => true,
        (error: unknown) => {
          if (error instanceof UnavailableError) throw error;
          return false;
        },
      ),
    );
    return (await isAborted) === true;
  }

  /** Whatever it was asked, a gateway that goes away meanwhile is one that is not there. */
  async #ask<T>(ask: (control: ControlClient) => Promise<T>): Promise<T | undefined> {
    let control: ControlClient | undefined;
    try {
      control = await connectControl(this.places.controlSocket);
      return await ask(control);
    } catch (error) {
      if (error instanceof NoGatewayError) return undefined;
      throw error;
    } finally {
      control?.close();
    }
  }
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function readStatus(answer: unknown): ColourStatus {
  const { state, version, connections, workers, internal, listening } = fieldsOf(answer);
  const each = list(workers).map(fieldsOf);
  const texts = [...list(internal), ...list(listening)];
  return {
    state: String(state),
    version: String(version),
    connections: Number(connections),
    restarts: each.reduce((sum, { restarts }) => sum + Number(restarts ?? 0), 0),
    addresses: texts.filter((text) => typeof text === 'string'),
  };
}

function remainingOf(value: unknown): number | undefined {
  const { remaining } = fieldsOf(value);
  return typeof remaining === 'number' ? remaining : undefined;
}
