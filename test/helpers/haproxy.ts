// A real HAProxy with the shipped configuration and a certificate of its own.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Child } from './child.ts';
import { accepts, freePort } from './ports.ts';
import type { Scope } from './scope.ts';
import { tempDir } from './temp-dir.ts';

const run = promisify(execFile);

export const SHIPPED_CONFIG = fileURLToPath(new URL('../../../haproxy/haproxy.cfg', import.meta.url));

export interface Certificate {
  /** The certificate alone, for those who are to trust it. */
  readonly certificate: string;
  /** Certificate and key in one file, as HAProxy reads it. */
  readonly siteFile: string;
}

export async function makeCertificate(scope: Scope): Promise<Certificate> {
  const directory = await tempDir(scope);
  const certificateFile = join(directory, 'certificate.pem');
  const keyFile = join(directory, 'key.pem');
  const siteFile = join(directory, 'site.pem');
  const args =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost';
  const names = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  await run('openssl', [...args.split(' '), ...names, '-keyout', keyFile, '-out', certificateFile]);
  const certificate = await readFile(certificateFile, 'utf8');
  await writeFile(siteFile, certificate + (await readFile(keyFile, 'utf8')), { mode: 0o600 });
  return { certificate, siteFile };
}

export interface HaproxyOptions {
  /** `host:port` of the gateway behind it. */
  readonly to: string;
  readonly configFile?: string;
  readonly env?: Readonly<Record<string, string>>;
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
  const child = new Child(scope, 'haproxy', ['-db', '-f', options.configFile ?? SHIPPED_CONFIG], {
    env: {
      HOLDFAST_FRONT: '1',
      HOLDFAST_TO: options.to,
      HOLDFAST_BIND: `127.0.0.1:${port}`,
      HOLDFAST_CERTIFICATE: siteFile,
      HOLDFAST_MAXCONN: '2000',
      ...options.env,
    },
  });
  await child.waitUntil(`HAProxy on port ${port}`, () => accepts(port));
  return new Haproxy(child, port, certificate);
}
