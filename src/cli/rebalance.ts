// `holdfast rebalance`: connections move from loaded workers of this host to idle ones, while their clients stay connected.
import { type Command, InvalidArgumentError } from 'commander';
import type { RebalanceProgress } from '../cluster/moves/rebalance.ts';
import type { PlannedMove, RebalancePlan, WeighedWorker } from '../cluster/moves/rebalance-plan.ts';
import { isFields } from '../util/fields.ts';
import { type ChangeFlags, changeGateway, movesText } from './change.ts';
import { CliError, ExitCodes } from './cli-error.ts';
import type { CliDeps } from './cli-deps.ts';
import { addConfigFlags } from './config-options.ts';
import { CONTROL_EXIT_CODES } from './control.ts';
import type { ProgressDisplay } from './progress.ts';
import { bytesText, type Column, tableLines } from './table.ts';

interface RebalanceFlags extends ChangeFlags {
  readonly dryRun?: true;
  readonly threshold?: number;
  readonly pace?: number;
}

export function addRebalance(program: Command, deps: CliDeps): void {
  addConfigFlags(
    program
      .command('rebalance')
      .description('move connections from loaded workers of this host to idle ones; clients stay connected'),
  )
    .option('--dry-run', 'show how loaded the workers are and what would be moved, and move nothing')
    .option('--threshold <percent>', 'relieve workers this far above the mean', parsePositive)
    .option('--pace <n>', 'connections moved in a second, at most', parsePositive)
    .option('--abort', 'stop the rebalancing that is under way; what has moved stays moved')
    .option('--json', 'print progress and result as JSON, one object a line')
    .addHelpText(
      'after',
      "\nA worker's load is made of its connections and, the busier the host is, of their traffic and its event-loop time;\n" +
        '100 % is the mean of all workers. Threshold and pace are those of handoff.rebalance in the configuration unless\n' +
        'they are given here. Workers are measured for 5 seconds first, when they have just started or exchanged\n' +
        'connections. Interrupting this command stops the rebalancing. Connections of other hosts stay where they are.\n\n' +
        'Example:\n  $ holdfast rebalance --dry-run\n  $ holdfast rebalance --pace 500' +
        CONTROL_EXIT_CODES,
    )
    .action(async ({ threshold, pace: perSecond, dryRun, ...flags }: RebalanceFlags) => {
      await changeGateway(flags, deps, {
        method: 'rebalance',
        name: 'rebalancing',
        params: { dryRun: dryRun === true, threshold, perSecond },
        format: { isReport: isProgress, text: progressText, step: stepOf },
        doneText,
        otherwise: showPlan,
      });
    });
}

function showPlan(answer: unknown, display: ProgressDisplay<RebalanceProgress>): void {
  if (isPlan(answer)) display.finish(planText(answer), answer);
  else throw new CliError(ExitCodes.failure, 'the gateway answers in a form that this version does not know');
}

function parsePositive(written: string): number {
  const value = Number(written);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('Write a number above 0.');
  return value;
}

function stepOf({ state, from, to }: RebalanceProgress): string {
  return `${state} ${from} ${to}`;
}

function progressText(progress: RebalanceProgress): string {
  const { state, from, to } = progress;
  switch (state) {
    case 'measuring':
      return 'measuring the load of the workers';
    case 'moving':
      return `worker ${from} to worker ${to}: ${movesText(progress)}`;
    case 'done':
    case 'failed':
      return `${state}: ${movesText(progress)}`;
  }
}

function doneText({ plan, moved }: RebalanceProgress): string {
  if (plan !== null && plan.moves.length === 0) return evenText(plan);
  const pairs = (plan?.moves ?? []).map(({ from, to }) => `worker ${from} to worker ${to}`);
  return `rebalanced: ${moved} connections moved, ${pairs.join(', ')}`;
}

function evenText({ imbalance }: RebalancePlan): string {
  return `nothing to move: no worker is more than ${percent(imbalance)} above the mean`;
}

const COLUMNS: readonly Column[] = [
  { title: 'worker', align: 'right' },
  { title: 'connections', align: 'right' },
  { title: 'traffic', align: 'right' },
  { title: 'event loop', align: 'right' },
  { title: 'load', align: 'right' },
];

function planText(plan: RebalancePlan): string {
  const lines = [...tableLines(COLUMNS, plan.workers.map(workerRow)), ''];
  if (plan.moves.length === 0) lines.push(evenText(plan));
  else lines.push(...plan.moves.map(moveText));
  return lines.join('\n');
}

function workerRow({ slot, connections, bytesPerSecond, loopShare, load }: WeighedWorker): string[] {
  return [
    String(slot),
    String(connections),
    `${bytesText(bytesPerSecond)}/s`,
    percent(loopShare),
    percent(load),
  ];
}

function moveText({ from, to, part, connections }: PlannedMove): string {
  const which =
    part.first === 'idle'
      ? `about ${connections} connections, idle ones first`
      : `at most ${connections} connections, busy ones first`;
  return `would move ${percent(part.load)} of the load of worker ${from} to worker ${to}: ${which}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** The gateway may be of another version than this command. */
function isProgress(value: unknown): value is RebalanceProgress {
  return isFields(value) && 'state' in value && 'moved' in value && 'plan' in value;
}

function isPlan(value: unknown): value is RebalancePlan {
  return isFields(value) && Array.isArray(value['workers']) && Array.isArray(value['moves']);
}
