// `npm start`: what is missing is installed and built, then the gateway serves. Arguments after `--` go to `serve`.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { ensureBuild, ensurePackages } from './ensure.mjs';

ensurePackages();
ensureBuild();

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
// Ctrl-C reaches every process of the terminal's foreground group, and npm sends it on as well: three signals for one key.
// In a session of its own the gateway gets exactly what is forwarded here, so that a second Ctrl-C means a second one.
const gateway = spawn(process.execPath, [main, 'serve', ...process.argv.slice(2)], {
  stdio: 'inherit',
  detached: true,
});

const SAME_KEY_MS = 300;
let lastMs = Number.NEGATIVE_INFINITY;
const forward = (signal) => {
  const nowMs = performance.now();
  if (nowMs - lastMs < SAME_KEY_MS) return;
  lastMs = nowMs;
  gateway.kill(signal);
};
process.on('SIGINT', () => forward('SIGINT'));
process.on('SIGTERM', () => forward('SIGTERM'));
// The terminal is gone. To the gateway SIGHUP would mean "reload".
process.on('SIGHUP', () => forward('SIGTERM'));
process.on('SIGUSR2', () => gateway.kill('SIGUSR2'));

gateway.on('error', (error) => {
  process.stderr.write(`holdfast: cannot start: ${error.message}\n`);
  process.exitCode = 1;
});
gateway.on('exit', (code, signal) => {
  process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
});
