// `npm run bench`: runs scenarios, prints what came out, writes the results, and fails when a message was lost, repeated
// or reordered or a measurement could not be finished. A missed goal is reported and fails nothing unless asked for.
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/util/errors.ts';
import { describePlacement, halves, ownCpus } from './measure/cpus.ts';
import { machine } from './measure/machine.ts';
import { number } from './report/markdown.ts';
import { type Outcome, isSound, totalFaults, verdicts } from './report/outcome.ts';
import { Progress } from './report/progress.ts';
import { writeResults } from './report/write.ts';
import { connect } from './scenarios/connect.ts';
import { deploy } from './scenarios/deploy.ts';
import { burst, channels, fanout, mixed, protobuf } from './scenarios/deliveries.ts';
import { handoff } from './scenarios/handoff.ts';
import { httpPublish } from './scenarios/http-publish.ts';
import { idle } from './scenarios/idle.ts';
import { recovery } from './scenarios/recovery.ts';
import { redis, redisDelay, redisJoin, redisThroughput } from './scenarios/redis.ts';
import { Runner } from './scenarios/runner.ts';
import type { Sample, Scenario } from './scenarios/scenario.ts';
import { storm } from './scenarios/storm.ts';
import { tokens } from './scenarios/tokens.ts';
import { holdfastIsBuilt } from './servers/subjects.ts';

const SCENARIOS: readonly Scenario[] = [
  fanout,
  burst,
  channels,
  mixed,
  idle,
  connect,
  protobuf,
  recovery,
  handoff,
  deploy,
  storm,
  httpPublish,
  redis,
  redisDelay,
  redisThroughput,
  redisJoin,
  tokens,
];

const HELP = `usage: npm run bench -- [scenario...] [options]

scenarios (default: all)
${SCENARIOS.map((scenario) => `  ${scenario.name.padEnd(16)} ${scenario.title}`).join('\n')}

options
  --smoke            everything tiny, one round, nothing written: only proves that no message is lost
  --rounds N         rounds of a scenario (default: its own, 3 or 5)
  --duration S       length of the measured window in seconds (default 10)
  --servers A,B      only these, by name: bare, socket.io, holdfast (with ×2 for two workers, as in "holdfast x2")
  --together         servers and generators share all CPUs everywhere, and results have "-together" in their names;
                     without it they get half of the CPUs each in scenarios that compare CPU time or delays of servers
  --ack              the other servers acknowledge each publication too, as Holdfast does
  --out DIR          where results go (default test/bench/results)
  --no-write         writes no results
  --profile DIR      CPU profiles of the server processes (of those that end in order: Holdfast); slows them down
  --strict           a missed goal fails too
  --help             this text

exit code: 0, or 1 when a message was lost, repeated or reordered, a measurement failed, or a goal was missed with --strict;
2 for wrong usage
`;

const OPTIONS = {
  allowPositionals: true,
  options: {
    smoke: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    duration: { type: 'string' },
    servers: { type: 'string' },
    together: { type: 'boolean', default: false },
    ack: { type: 'boolean', default: false },
    out: { type: 'string', default: 'test/bench/results' },
    'no-write': { type: 'boolean', default: false },
    profile: { type: 'string' },
    strict: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
} as const;

function wrongUsage(message: string): never {
  process.stderr.write(`bench: ${message}\n(npm run bench -- --help says more)\n`);
  process.exit(2);
}

function readArguments(): ReturnType<typeof parseArgs<typeof OPTIONS>> {
  try {
    return parseArgs(OPTIONS);
  } catch (error) {
    wrongUsage(messageOf(error));
  }
}

const { values, positionals } = readArguments();

function positive(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0)) wrongUsage(`${option} wants a number above 0, not ${text}`);
  return value;
}

const durationS = positive(values.duration, '--duration');
const options = {
  smoke: values.smoke,
  acknowledge: values.ack,
  durationMs: durationS === undefined ? undefined : durationS * 1000,
};
const rounds = positive(values.rounds, '--rounds');
const wanted = values.servers?.split(',').map((name) => name.trim().replace(/ x(\d)\b/, ' ×$1'));
const progress = new Progress();

function chosenScenarios(): Scenario[] {
  for (const name of positionals) {
    if (!SCENARIOS.some((scenario) => scenario.name === name)) {
      wrongUsage(`no scenario is called ${name}; there are ${SCENARIOS.map((s) => s.name).join(', ')}`);
    }
  }
  const servers = new Set(SCENARIOS.flatMap(({ subjects }) => subjects.map(({ name }) => name)));
  const stranger = wanted?.find((name) => !servers.has(name));
  if (stranger !== undefined)
    wrongUsage(`no server is called ${stranger}; there are ${[...servers].join(', ')}`);
  return SCENARIOS.filter((scenario) => positionals.length === 0 || positionals.includes(scenario.name));
}

function summary(scenario: Scenario, sample: Sample): string {
  return scenario.figures
    .map((figure) =>
      `${figure.label} ${number(sample.figures[figure.key] ?? Number.NaN, figure.digits)} ${figure.unit}`.trim(),
    )
    .join(', ');
}

/** Undefined when there is nothing to measure. */
async function runScenario(scenario: Scenario, runner: Runner): Promise<Outcome | undefined> {
  const subjects = scenario.subjects.filter(
    ({ name }) =>
      (wanted?.includes(name) ?? true) && (!values.smoke || scenario.smokeSubjects.includes(name)),
  );
  if (subjects.length === 0) {
    progress.line(`${scenario.name}: none of the chosen servers takes part`);
    return undefined;
  }
  if (subjects.some((subject) => subject.dialect.startsWith('holdfast')) && !holdfastIsBuilt()) {
    throw new Error('Holdfast is not built (.build/src/main.js): run tsc, or choose others with --servers');
  }
  const samples = new Map<string, Sample[]>(subjects.map(({ name }) => [name, []]));
  const failures: string[] = [];
  const facts = machine();
  const placement = scenario.apart === true && !values.together ? halves(ownCpus()) : undefined;
  const plan = { scenario, subjects, rounds: values.smoke ? 1 : (rounds ?? scenario.rounds), placement };
  await runner.run(plan, {
    onSample(subject, round, sample) {
      samples.get(subject.name)?.push(sample);
      progress.line(`${scenario.name} ${round} ${subject.name}: ${summary(scenario, sample)}`);
      for (const warning of sample.warnings) progress.line(`  doubt: ${warning}`);
    },
    onFailure(subject, round, message) {
      failures.push(`${subject.name}, round ${round}: ${message.split('\n', 1)[0] ?? ''}`);
      progress.line(`${scenario.name} ${round} ${subject.name} FAILED: ${message}`);
    },
  });
  const date = new Date().toISOString().slice(0, 10);
  const method = `${scenario.method(options)} ${describePlacement(placement)}`;
  const variant = scenario.apart === true && values.together ? '-together' : '';
  return { scenario, variant, method, acknowledge: values.ack, machine: facts, date, samples, failures };
}

/** True when the outcome is as it must be. */
function conclude(outcome: Outcome): boolean {
  const judged = values.smoke ? [] : verdicts(outcome);
  for (const { result, text, value } of judged) progress.line(`  ${result}: ${text} (${number(value, 2)})`);
  const { lost, repeated, reordered, stray } = totalFaults(outcome);
  progress.line(`  messages lost ${lost}, repeated ${repeated}, reordered ${reordered}, astray ${stray}`);
  if (!values.smoke && !values['no-write']) {
    progress.line(`  written: ${writeResults(outcome, values.out)}`);
  }
  return isSound(outcome) && !(values.strict && judged.some(({ result }) => result !== 'met'));
}

async function main(): Promise<boolean> {
  const runner = new Runner({
    options,
    nodeArgs: values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`],
    progress: (text) => {
      progress.now(text);
    },
  });
  const interrupt = (): void => {
    runner.kill();
    process.exit(130);
  };
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  let sound = true;
  try {
    for (const scenario of chosenScenarios()) {
      const outcome = await runScenario(scenario, runner);
      sound = (outcome === undefined || conclude(outcome)) && sound;
    }
  } finally {
    await runner.close();
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
  progress.line(sound ? 'sound' : 'NOT SOUND: see above');
  return sound;
}

async function exitCode(): Promise<number> {
  try {
    return (await main()) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    return 1;
  }
}

if (values.help) process.stdout.write(HELP);
// Clients of a peer that are gone leave timers of more than a minute behind.
else process.exit(await exitCode());
