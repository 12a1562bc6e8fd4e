// A real HAProxy with a configuration that the program wrote, and a certificate of its own.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Child } from './child.ts';
import { cliRun } from './cli-run.ts';
import { type LogLine, logLines } from './gateway.ts';
import { accepts, freePort } from './ports.ts';
import type { Scope } from './scope.ts';
import { tempDir } from './temp-dir.ts';

const run = promisify(execFile);

/** For one gateway on this machine, without root. */
const FRONT_CONFIG = fileURLToPath(new URL('../../../haproxy/front.cfg', import.meta.url));

export interface Certificate {
  /** The certificate alone, for those who are to trust it. */
  readonly certificate: string;
  /** Certificate and key in one file, as HAProxy reads it. */
  readonly siteFile: string;
}

export async function makeCertificate(scope: Scope, name = 'localhost'): Promise<Certificate> {
  const directory = await tempDir(scope);
  const certificateFile = join(directory, 'certificate.pem');
  const keyFile = join(directory, 'key.pem');
  const siteFile = join(directory, 'site.pem');
  const args =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost';
  const names = ['-addext', `subjectAltName=DNS:${name},IP:127.0.0.1`];
  await run('openssl', [...args.split(' '), ...names, '-keyout', keyFile, '-out', certificateFile]);
  const certificate = await readFile(certificateFile, 'utf8');
  await writeFile(siteFile, certificate + (await readFile(keyFile, 'utf8')), { mode: 0o600 });
  return { certificate, siteFile };
}

/** Arguments by which a generated configuration fits what `startHaproxy` gives. */
const STARTED = [
  '--no-privileged',
  '--maxconn=500',
  '--bind=${HOLDFAST_BIND}',
  '--certificate=${HOLDFAST_CERTIFICATE}',
];

/** What `holdfast haproxy` prints for these arguments, in a file that `startHaproxy` can use. */
export async function generateConfig(
  scope: Scope,
  args: readonly string[],
  started: readonly string[] = STARTED,
): Promise<string> {
  const file = join(await tempDir(scope), 'haproxy.cfg');
  const { code, out, err } = await cliRun(['haproxy', ...args, ...started]);
  if (code !== 0) throw new Error(err);
  await writeFile(file, out);
  return file;
}

export interface HaproxyOptions {
  /** `host:port` of the gateway behind it, unless the file says so itself. */
  readonly to?: string;
  readonly configFile?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** With a master process, which can be reloaded, and its socket here. */
  readonly masterSocket?: string;
}

export class Haproxy {
  readonly child: Child;
  readonly port: number;
  /** To be trusted by clients. */
  readonly certificate: string;

  constructor(child: Child, port: number, certificate: string) {
    this.child = child;
    this.port = port;
    this.certificate = certificate;
  }

  /** Its JSON log lines so far. */
  get logs(): LogLine[] {
    return logLines(this.child.output);
  }

  get httpsUrl(): string {
    return `https://localhost:${this.port}`;
  }

  get wssUrl(): string {
    return `wss://localhost:${this.port}/connection/websocket`;
  }
}

export async function startHaproxy(scope: Scope, options: HaproxyOptions): Promise<Haproxy> {
  const { certificate, siteFile } = await makeCertificate(scope);
  const port = await freePort();
  const how = options.masterSocket === undefined ? ['-dW', '-db'] : ['-W', '-S', options.masterSocket];
  const child = new Child(scope, 'haproxy', [...how, '-f', options.configFile ?? FRONT_CONFIG], {
    env: {
      HOLDFAST_TO: options.to ?? '',
      HOLDFAST_BIND: `127.0.0.1:${port}`,
      HOLDFAST_CERTIFICATE: siteFile,
      ...options.env,
    },
  });
  await child.waitUntil(`HAProxy on port ${port}`, () => accepts(port));
  return new Haproxy(child, port, certificate);
}
