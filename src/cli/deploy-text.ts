// What `holdfast deploy` shows: its progress, what it would do, and where it stands.
import type { ColourService } from '../deploy/colour-service.ts';
import type { DeployReport } from '../deploy/deployment.ts';
import type { ServerState } from '../deploy/haproxy-runtime.ts';
import { type Colour, type DeployRecord, FORWARD_STEPS, isOver, stepText } from '../deploy/plan.ts';
import { type CliDeps, note, printJson } from './cli-deps.ts';

interface Form {
  readonly json?: true;
}

const REWRITE_LINE = '\r\u001b[K';

/** A line for each step; on a terminal the count of a drain is rewritten in place. */
export class DeployDisplay {
  readonly #deps: CliDeps;
  readonly #json: boolean;
  #shown = '';

  constructor(deps: CliDeps, { json }: Form) {
    this.#deps = deps;
    this.#json = json === true;
  }

  show(report: DeployReport): void {
    const { stdout, stderr } = this.#deps;
    if (this.#json) {
      stdout.write(`${JSON.stringify(report)}\n`);
      return;
    }
    if (isOver(report.step)) return;
    const { remaining, failure } = report;
    const why = report.step === 'restore' && failure !== null ? `${failure}; ` : '';
    const left = remaining === undefined ? '' : `: ${remaining} connections left`;
    const text = `${why}${stepText(report, report.step)}${left}`;
    if (text === this.#shown) return;
    if (stderr.isTTY !== true) note(this.#deps, text);
    else if (this.#shown === '') stderr.write(text);
    else stderr.write(`${left === '' ? '\n' : REWRITE_LINE}${text}`);
    this.#shown = text;
  }

  /** Ends the line that is being written. May be called twice. */
  clear(): void {
    if (!this.#json && this.#deps.stderr.isTTY === true && this.#shown !== '') this.#deps.stderr.write('\n');
    this.#shown = '';
  }
}

/** `--dry-run`. */
export function printPlan(
  record: DeployRecord,
  services: Readonly<Record<Colour, ColourService>>,
  { json }: Form,
  deps: CliDeps,
): void {
  const { from, to, step } = record;
  const at = FORWARD_STEPS.findIndex((each) => each === step);
  const steps = at < 0 ? [step] : FORWARD_STEPS.slice(at);
  const commands: Partial<Record<string, string>> = {
    start: services[to].places.startCommand,
    ...(from === null ? {} : { stop: services[from].places.stopCommand }),
    remove: services[to].places.stopCommand,
  };
  if (json === true) {
    printJson(deps, {
      from,
      to,
      steps: steps.map((each) => ({ step: each, command: commands[each] ?? null })),
    });
    return;
  }
  for (const each of steps) {
    const command = commands[each];
    deps.stdout.write(`${stepText(record, each)}${command === undefined ? '' : `: ${command}`}\n`);
  }
}

export interface DeployStatus {
  readonly record: DeployRecord | null;
  readonly colours: readonly {
    readonly colour: Colour;
    readonly state: string;
    readonly version: string | null;
    readonly connections: number;
  }[];
  readonly fronts: readonly { readonly haproxy: string; readonly servers: readonly ServerState[] }[];
}

/** `--status`. */
export function printDeployStatus(status: DeployStatus, { json }: Form, deps: CliDeps): void {
  if (json === true) {
    printJson(deps, status);
    return;
  }
  const { record, colours, fronts } = status;
  const lines = [
    record === null ? 'no deployment yet' : `deployment to ${record.to}: ${stepText(record, record.step)}`,
    ...(record?.failure === undefined || record.failure === null ? [] : [`failed: ${record.failure}`]),
    ...colours.map(({ colour, state, version, connections }) =>
      version === null
        ? `${colour}: ${state}`
        : `${colour}: ${state} (version ${version}), ${connections} connections`,
    ),
    ...fronts.flatMap(({ haproxy, servers }) =>
      servers.map(({ name, status: is, sessions }) => `${haproxy} ${name}: ${is}, ${sessions} sessions`),
    ),
  ];
  deps.stdout.write(`${lines.join('\n')}\n`);
}
