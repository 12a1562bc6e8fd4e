#!/usr/bin/env node
// The program: a worker when a primary forked it, else the command line.
import cluster from 'node:cluster';

if (cluster.isWorker) {
  const { runWorker } = await import('./app/worker.ts');
  await runWorker();
} else {
  const { runCommand } = await import('./cli/main.ts');
  await runCommand();
}
