// The scripts that the README names, typed wrongly: they say what they want, and do not pass for something done.
import { join } from 'node:path';
import t from 'tap';
import { Child } from '../helpers/child.ts';

// Tests run from the root of the repository.
const BENCH = join(process.cwd(), '.build/test/bench/main.js');
const CASES: readonly (readonly [command: readonly string[], message: RegExp])[] = [
  [['scripts/prove.sh', 'reloads', 'many'], /usage: npm run proof:reloads -- \[CLIENTS \[RELOADS\]\]/],
  [['scripts/prove.sh', 'reloads', '500', '0'], /usage: npm run proof:reloads/],
  [['scripts/prove.sh', 'faults', 'long'], /usage: npm run proof:faults -- \[SECONDS \[SEED\]\]/],
  [['scripts/test-node-versions.sh', '--help'], /usage: npm run test:nodes -- \[VERSION\.\.\.\]/],
  [[process.execPath, BENCH, '--frob'], /Unknown option '--frob'[^]*--help says more/],
  [[process.execPath, BENCH, 'nowhere'], /no scenario is called nowhere; there are fanout, /],
  [
    [process.execPath, BENCH, 'fanout', '--servers', 'bare,holdfats'],
    /no server is called holdfats; there are /,
  ],
  [[process.execPath, BENCH, '--rounds', 'x'], /--rounds wants a number above 0, not x/],
];

for (const [[program = '', ...args], message] of CASES) {
  t.test([program, ...args].join(' ').replace(process.cwd(), ''), async (t) => {
    const child = new Child(t, program, args);
    t.match(await child.exited, { code: 2 });
    t.match(child.output, message);
  });
}
