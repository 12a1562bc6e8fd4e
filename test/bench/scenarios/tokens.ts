// What the verification of a connection token costs, inside this process: with its cache, and for tokens never seen.
import { signConnectionToken } from '../../../src/auth/sign-token.ts';
import { NO_TOKEN_CONFIG } from '../../../src/auth/token-config.ts';
import { TokenVerifier } from '../../../src/auth/token-verifier.ts';
import { systemClock } from '../../../src/util/clock.ts';
import type { Subject } from '../servers/subjects.ts';
import { NO_FAULTS, type Scenario } from './scenario.ts';

const SECRET = 'secret of the benchmark, 32 bytes';
/** More than the cache holds: in turns, each has been forgotten when its turn comes again. */
const DISTINCT = 20_000;
const CACHED = 1000;
const WARM_UP = 2000;

function inProcess(name: string): Subject {
  return {
    name,
    dialect: 'holdfast',
    workers: 0,
    start: async () => Promise.reject(new Error('runs in the process of the benchmark')),
  };
}

const cached = inProcess('cached');
const distinct = inProcess('distinct');

export const tokens: Scenario = {
  name: 'tokens',
  title: 'Verification of connection tokens',
  subjects: [cached, distinct],
  smokeSubjects: [],
  rounds: 3,
  figures: [
    { key: 'cpuUs', label: 'CPU per verification', unit: 'µs', digits: 2 },
    { key: 'perSecond', label: 'verifications a second', unit: '', digits: 0 },
  ],
  plotted: 'cpuUs',
  goals: [{ figure: 'cpuUs', of: cached.name, against: { subject: distinct.name }, atMost: 0.2 }],
  method: ({ durationMs }) =>
    `The verifier of the gateway inside the benchmark’s process, HS256, one verification after the other for ` +
    `${(durationMs ?? 10_000) / 1000} s. ${cached.name}: ${CACHED} tokens in turns, verified before; ${distinct.name}: ` +
    `${DISTINCT} in turns, twice as many as the cache holds. CPU time is of all threads of the process.`,
  async measure(subject, run) {
    const connection = { ...NO_TOKEN_CONFIG, hmacSecretKey: SECRET };
    const verifier = new TokenVerifier(
      { clock: systemClock },
      { connection, subscription: undefined, insecureSkipTokenSignatureVerify: false },
    );
    run.progress('signing tokens');
    const expiresAtMs = systemClock.wallMs() + 3_600_000;
    const all: string[] = [];
    for (let user = 0; user < (subject === cached ? CACHED : DISTINCT); user++) {
      all.push(await signConnectionToken({ user: `user-${user}`, expiresAtMs }, SECRET));
    }
    let turn = 0;
    const verifyNext = async (): Promise<void> => {
      const user = turn++ % all.length;
      const claims = await verifier.verifyConnection(all[user] ?? '');
      if (claims.user !== `user-${user}`) throw new Error(`token of user-${user} verified as ${claims.user}`);
    };
    for (let i = 0; i < WARM_UP; i++) await verifyNext();
    const before = turn;
    run.progress('verifying');
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    const endMs = startMs + (run.durationMs ?? 10_000);
    while (performance.now() < endMs) await verifyNext();
    const tookMs = performance.now() - startMs;
    const { user, system } = process.cpuUsage(cpu);
    const count = turn - before;
    return {
      figures: { cpuUs: (user + system) / count, perSecond: (count * 1000) / tookMs },
      faults: NO_FAULTS,
      warnings: [],
    };
  },
};
