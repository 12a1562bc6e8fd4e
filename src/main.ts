#!/usr/bin/env node
// The program: a worker when a primary forked it, else the command line.
import cluster from 'node:cluster';
import { fileURLToPath } from 'node:url';

if (cluster.isWorker) {
  const [{ runWorker }, { endFailedWorker }] = await Promise.all([
    import('./app/worker.ts'),
    import('./app/failed-worker.ts'),
  ]);
  await runWorker().catch(endFailedWorker);
} else {
  const { runCommand } = await import('./cli/main.ts');
  // Its workers run this file, too.
  await runCommand(fileURLToPath(import.meta.url));
}
