// Makes the program of few files: `node scripts/bundle.mjs DIRECTORY`. Each process of a gateway loads it anew, and to find, read
// and compile some 600 modules one by one would be nearly half of the CPU that a worker needs until it serves.
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const [directory = 'dist'] = process.argv.slice(2);
/** Everything but the entries. How deep it lies is known where files are read that lie beside the code. */
const chunks = join(root, directory, 'chunks');

rmSync(chunks, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: ['src/main.ts', 'src/hooks/app/public.ts'],
  outbase: 'src',
  outdir: directory,
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  // For stack traces; the sources themselves would be most of it.
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
  banner: {
    // Packages in CommonJS ask for modules of Node.
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
  },
});
cpSync(join(root, 'src/engine/redis/lua'), join(chunks, 'lua'), { recursive: true });
