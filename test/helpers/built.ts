// The program as `npm run build` makes it for users. Most tests run what the compiler wrote instead, module by module: there
// coverage can be counted.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What users have as `dist`. */
export const BUILT = fileURLToPath(new URL('../../dist', import.meta.url));

export const BUILT_MAIN = join(BUILT, 'main.js');

if (!existsSync(BUILT_MAIN)) {
  throw new Error(
    `${BUILT} is missing: scripts/test.sh makes it, or \`node scripts/bundle.mjs .build/dist\``,
  );
}
