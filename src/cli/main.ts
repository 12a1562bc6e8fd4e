// The command line in its process: real streams, real time, and the exit code.
import { systemClock } from '../util/clock.ts';
import { readVersion } from '../util/version.ts';
import { askAtTerminal } from './ask.ts';
import { runCli } from './program.ts';

/** `program`: the file that was started, compiled. */
export async function runCommand(program: string): Promise<void> {
  // The reader of a pipe may have seen enough: `holdfast defaults | head`.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  // Who does not read what is said still gets the exit code.
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  const version = readVersion();
  let served = 0;
  const code = await runCli(process.argv.slice(2), {
    environment: process.env,
    stdout: process.stdout,
    stderr: process.stderr,
    clock: systemClock,
    version,
    program,
    readText: async () => {
      let text = '';
      for await (const chunk of process.stdin.setEncoding('utf8')) text += String(chunk);
      return text;
    },
    ask: process.stdin.isTTY && process.stderr.isTTY ? askAtTerminal : undefined,
    meetPredecessor: async () => {
      const { Predecessor } = await import('../cluster/moves/predecessor.ts');
      return Predecessor.meet(process);
    },
    serve: async (config, reread, predecessor) => {
      // Loaded on demand: no other command needs it.
      const [{ runPrimary }, { createLogger, standardOutput }, { logLevel }] = await Promise.all([
        import('../app/primary.ts'),
        import('../observe/logger.ts'),
        import('../app/worker-settings.ts'),
      ]);
      const logger = createLogger({
        level: logLevel(config),
        role: 'primary',
        destination: await standardOutput(),
      });
      served = await runPrimary(config, {
        logger,
        version,
        environment: process.env,
        workerProgram: program,
        reread,
        predecessor,
      });
    },
  });
  process.exitCode = code === 0 ? served : code;
  // pm2 listens on its channel, which would keep the process alive until it is killed.
  if (process.connected) process.disconnect();
}
