// The program that tests start: as `npm run build` makes it for users, or as the compiler wrote it, module by module, so that
// coverage can be counted. Counting makes a gateway twice as expensive to start.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PRELOAD = new URL('preload-coverage.js', import.meta.url).href;
const COMPILED_MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));

/** What users have as `dist`. */
export const BUILT = fileURLToPath(new URL('../../dist', import.meta.url));

export const BUILT_MAIN = join(BUILT, 'main.js');

/** What runs around the program (HAProxy, Redis, service managers) has it as users have it. */
const isForOps = process.argv[1]?.includes('/test/ops/') === true;

export const MAIN = isForOps ? BUILT_MAIN : COMPILED_MAIN;

if (isForOps) {
  const built = statSync(BUILT_MAIN, { throwIfNoEntry: false });
  if (built === undefined || built.mtimeMs < statSync(COMPILED_MAIN).mtimeMs) {
    throw new Error(`${BUILT} is missing or old: \`node scripts/bundle.mjs .build/dist\` makes it`);
  }
}

/** What Node is told in a program of a test, besides what the test itself says: to count its coverage, when there is to be any. */
export function nodeOptions(ofTest = ''): string {
  const isCounted = process.env['_TAPJS_PROCESSINFO_COVERAGE_'] === '1' && !isForOps;
  return isCounted ? `${ofTest} --import=${PRELOAD}` : ofTest;
}
