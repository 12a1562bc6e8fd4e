// Installs packages and builds the program, each only when it is missing or stale. Plain Node, because it has to run
// before anything is installed. `node scripts/ensure.mjs packages build`
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const stamp = join(root, 'dist', '.built');

export function ensurePackages() {
  const missing = missingPackages();
  if (missing.length === 0) return;
  say(`installing packages (${missing.length} missing or of another version)`);
  // `--include=dev` also under NODE_ENV=production: the compiler is a development dependency.
  run('npm', ['ci', '--include=dev', '--no-progress']);
}

export function ensureBuild() {
  if (
    newestMs(['src', 'scripts/bundle.mjs', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json']) <=
    builtMs()
  )
    return;
  say('building');
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  run('npm', ['run', '--silent', 'build']);
  // Written last: a build that failed half-way is stale.
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(stamp, '');
}

/** Versions in package.json are exact, so equality says whether what is installed is what is wanted. */
function missingPackages() {
  const wanted = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return Object.entries({ ...wanted.dependencies, ...wanted.devDependencies }).filter(([name, version]) => {
    try {
      const file = join(root, 'node_modules', name, 'package.json');
      return JSON.parse(readFileSync(file, 'utf8')).version !== version;
    } catch {
      return true;
    }
  });
}

function builtMs() {
  try {
    return statSync(stamp).mtimeMs;
  } catch {
    return 0;
  }
}

/** Directories count too: their time changes when a file is removed. */
function newestMs(names) {
  let newest = 0;
  for (const name of names) {
    const path = join(root, name);
    const stat = statSync(path);
    newest = Math.max(newest, stat.mtimeMs);
    if (stat.isDirectory())
      newest = Math.max(newest, newestMs(readdirSync(path).map((entry) => join(name, entry))));
  }
  return newest;
}

function run(command, args) {
  // Their output goes to stderr: stdout belongs to the program that is started afterwards.
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  say(`${command} ${args.join(' ')} failed${error === undefined ? '' : `: ${error.message}`}`);
  process.exit(status ?? 1);
}

function say(text) {
  process.stderr.write(`holdfast: ${text}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const what of process.argv.slice(2)) {
    if (what === 'packages') ensurePackages();
    else if (what === 'build') ensureBuild();
    else throw new Error(`nothing known about '${what}': packages or build`);
  }
}
