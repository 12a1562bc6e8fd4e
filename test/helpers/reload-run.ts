// One `reload` of a gateway, followed by its test over the control socket.
import { connectControl, type ControlClient } from '../../src/cluster/control/control-client.ts';
import { asError } from '../../src/util/errors.ts';
import type { Gateway } from './gateway.ts';
import type { Scope } from './scope.ts';
import { waitFor } from './wait-for.ts';

export interface Step {
  readonly state: string;
  readonly worker: number;
  readonly moved: number;
  readonly left: number;
  readonly closed: number;
}

export class ReloadRun {
  /** Everything that it said, in order. */
  readonly steps: Step[] = [];
  /** Resolves when it has ended, to why it failed. */
  readonly failure: Promise<Error | undefined>;
  readonly #control: ControlClient;
  #onStep: ((step: Step) => void) | undefined;

  private constructor(control: ControlClient) {
    this.#control = control;
    this.failure = control
      .request('reload', null, (value) => {
        const step = stepOf(value);
        this.steps.push(step);
        this.#onStep?.(step);
      })
      .then(() => undefined, asError);
  }

  static async begin(scope: Scope, gateway: Gateway): Promise<ReloadRun> {
    const control = await connectControl(gateway.controlSocket);
    scope.teardown(() => control.close());
    return new ReloadRun(control);
  }

  /** Called within the turn in which the step is heard of. */
  onStep(listener: (step: Step) => void): void {
    this.#onStep = listener;
  }

  has(state: string, worker: number): boolean {
    return this.steps.some((step) => step.state === state && step.worker === worker);
  }

  async reaches(state: string, worker = 1): Promise<void> {
    await waitFor(`the reload to be ${state} worker ${worker}`, () => this.has(state, worker), 60_000);
  }

  abort(): Promise<unknown> {
    return this.#control.request('reload-abort');
  }
}

function stepOf(value: unknown): Step {
  if (typeof value !== 'object' || value === null || !('state' in value)) throw new Error('no progress');
  const fields: Record<string, unknown> = { ...value };
  const { state, worker, moved, left, closed } = fields;
  return {
    state: String(state),
    worker: Number(worker),
    moved: Number(moved),
    left: Number(left),
    closed: Number(closed),
  };
}
