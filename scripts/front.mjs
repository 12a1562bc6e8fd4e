// `npm run front`: a real HAProxy with TLS before the gateway, on this machine, with haproxy/front.cfg and a certificate
// made on the spot. Ctrl-C ends it; nothing stays behind.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HELP = `npm run front -- [--to HOST:PORT] [--host ADDRESS] [--port PORT]
  --to    where the gateway listens (127.0.0.1:8000)
  --host  address to listen on (127.0.0.1)
  --port  port to listen on (8443; 0: any free one)
`;
const CERTIFICATE_DAYS = '30';
const START_DEADLINE_MS = 10_000;
const POLL_MS = 50;

const config = fileURLToPath(new URL('../haproxy/front.cfg', import.meta.url));
// Debian keeps haproxy in /usr/sbin, which is not on everyone's path.
const env = { ...process.env, PATH: [process.env.PATH, '/usr/sbin', '/sbin'].join(delimiter) };

class FrontError extends Error {}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        to: { type: 'string', default: '127.0.0.1:8000' },
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '8443' },
        help: { type: 'boolean', default: false },
      },
    });
    if (!/^\d{1,5}$/.test(values.port) || Number(values.port) > 65_535) throw new Error('--port is no port');
    if (!/^\S+:\d{1,5}$/.test(values.to)) throw new Error('--to is no HOST:PORT');
    return values;
  } catch (error) {
    throw new FrontError(`${error.message}\n${HELP}`);
  }
}

function needTool(tool) {
  if (spawnSync(tool, [tool === 'openssl' ? 'version' : '-v'], { env, stdio: 'ignore' }).status === 0) return;
  throw new FrontError(`${tool} is not installed. On Debian: sudo apt-get install ${tool}`);
}

/** ECDSA P-256: the cheapest handshake. Valid for localhost only. */
function makeCertificate(folder) {
  const certificate = join(folder, 'certificate.pem');
  const key = join(folder, 'key.pem');
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  args.push('-days', CERTIFICATE_DAYS, '-subj', '/CN=localhost', '-keyout', key, '-out', certificate);
  args.push('-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1');
  const made = spawnSync('openssl', args, { env, encoding: 'utf8' });
  if (made.status !== 0) throw new FrontError(`openssl could not make a certificate:\n${made.stderr}`);
  const site = join(folder, 'site.pem');
  writeFileSync(site, readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'), { mode: 0o600 });
  return { certificate, site };
}

/** The port itself when nobody has it, for 0 any that is free: another program's would be taken for HAProxy. */
function freePort(host, wanted) {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', ({ code }) => {
      const what = code === 'EADDRINUSE' ? 'another program has it' : code;
      reject(new FrontError(`cannot listen on ${host}:${wanted} (${what}): choose with --host and --port`));
    });
    server.listen(wanted, host, () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function accepts(host, port) {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

async function main(folder) {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  needTool('haproxy');
  needTool('openssl');
  const { certificate, site } = makeCertificate(folder);
  const port = await freePort(options.host, Number(options.port));
  const haproxy = spawn('haproxy', ['-db', '-f', config], {
    env: {
      ...env,
      HOLDFAST_TO: options.to,
      HOLDFAST_BIND: `${options.host}:${port}`,
      HOLDFAST_CERTIFICATE: site,
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => haproxy.kill('SIGTERM'));
  const ended = new Promise((resolve) => {
    haproxy.on('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 0));
  });

  const deadlineMs = performance.now() + START_DEADLINE_MS;
  while (haproxy.exitCode === null && !(await accepts(options.host, port))) {
    if (performance.now() > deadlineMs) {
      haproxy.kill('SIGKILL');
      throw new FrontError(`HAProxy does not accept on port ${port} after ${START_DEADLINE_MS / 1000} s`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  if (haproxy.exitCode === null) {
    process.stdout.write(`
HAProxy serves   wss://localhost:${port}/connection/websocket
before           ${options.to}
To trust it      Node: NODE_EXTRA_CA_CERTS=${certificate}
                 curl: --cacert ${certificate}
                 browser: open https://localhost:${port}/ once and accept the certificate
Ctrl-C ends it.

`);
  }
  process.exitCode = await ended;
}

const folder = mkdtempSync(join(tmpdir(), 'holdfast-front-'));
try {
  await main(folder);
} catch (error) {
  if (!(error instanceof FrontError)) throw error;
  process.stderr.write(`front: ${error.message}\n`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
