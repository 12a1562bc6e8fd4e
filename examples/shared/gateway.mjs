// Starts the gateway of this repository with an example's configuration, and ends it with the example.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ensureBuild, ensurePackages } from '../../scripts/ensure.mjs';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** Resolves to the WebSocket address when it takes clients. `env` overrides single options of the file. */
export function startGateway(configFile, env = {}) {
  ensurePackages();
  ensureBuild();
  // In a group of its own: Ctrl-C in the terminal reaches it once, through the lines below.
  const gateway = spawn(process.execPath, [MAIN, 'serve', '--config', configFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
    detached: true,
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => gateway.kill('SIGTERM'));
  gateway.on('exit', (code) => process.exit(code ?? 1));
  return new Promise((resolve) => {
    createInterface({ input: gateway.stdout }).on('line', (line) => {
      console.log(line);
      const { msg, url } = parse(line);
      if (msg === 'listening') resolve(url);
    });
  });
}

function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}
