#!/usr/bin/env node
// The program: workers and commands start here.
import { runCli } from './cli/program.ts';
import { systemClock } from './util/clock.ts';
import { readVersion } from './util/version.ts';

// The reader of a pipe may have seen enough: `holdfast defaults | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

process.exitCode = await runCli(process.argv.slice(2), {
  environment: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  clock: systemClock,
  version: readVersion(),
  readText: async () => {
    let text = '';
    for await (const chunk of process.stdin.setEncoding('utf8')) text += String(chunk);
    return text;
  },
});
