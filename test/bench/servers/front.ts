// HAProxy with TLS before a server of the benchmark, the same for all of them: as many processes as descriptors ask for, on
// one port.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RunningServer } from './running.ts';
import { freePort } from './subjects.ts';

export interface Front {
  readonly tlsPort: number;
  /** For those who are not part of the storm: no TLS, the same processes. */
  readonly plainPort: number;
  readonly certificate: string;
  readonly pids: readonly number[];
  stop(): Promise<void>;
  kill(): void;
}

/** Two descriptors each, and the kernel spreads connections over the processes only about evenly. */
const CONNECTIONS_PER_PROCESS = 8_000;

export async function startFront(serverPort: number, connections: number): Promise<Front> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-front-'));
  const certificateFile = join(folder, 'certificate.pem');
  const keyFile = join(folder, 'key.pem');
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  execFileSync(
    'openssl',
    [
      ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2'.split(' '),
      ...subject,
      '-keyout',
      keyFile,
      '-out',
      certificateFile,
    ],
    { stdio: 'ignore' },
  );
  const certificate = readFileSync(certificateFile, 'utf8');
  const site = join(folder, 'site.pem');
  writeFileSync(site, certificate + readFileSync(keyFile, 'utf8'), { mode: 0o600 });
  // All processes take each other's sessions.
  const tickets = join(folder, 'tickets');
  writeFileSync(tickets, `${[1, 2, 3].map(() => randomBytes(80).toString('base64')).join('\n')}\n`, {
    mode: 0o600,
  });
  const tlsPort = await freePort();
  const plainPort = await freePort();
  const processes: RunningServer[] = [];
  const kill = (): void => {
    for (const each of processes) each.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    for (let number = 1; number <= Math.ceil(connections / CONNECTIONS_PER_PROCESS); number++) {
      const file = join(folder, `haproxy-${number}.cfg`);
      const bind = `bind 127.0.0.1:${tlsPort} backlog 16384 ssl crt ${site} alpn http/1.1 tls-ticket-keys ${tickets}`;
      writeFileSync(file, config(bind, plainPort, serverPort, number));
      const server = new RunningServer('haproxy', ['-db', '-f', file], undefined, 'haproxy');
      processes.push(server);
      await server.ready(1, async () => ((await accepts(plainPort)) ? plainPort : undefined));
    }
  } catch (error) {
    kill();
    throw error;
  }
  return {
    tlsPort,
    plainPort,
    certificate,
    get pids() {
      return processes.flatMap(({ pids }) => pids);
    },
    stop: async () => {
      await Promise.all(processes.map(async (each) => each.stop()));
      rmSync(folder, { recursive: true, force: true });
    },
    kill,
  };
}

async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(port, '127.0.0.1');
    const say = (answer: boolean) => () => {
      probe.destroy();
      resolve(answer);
    };
    probe.once('connect', say(true)).once('error', say(false));
  });
}

/** Retries and addresses as in the configuration that is shipped; not the tunnel's time, as not every server pings. */
function config(bind: string, plainPort: number, serverPort: number, number: number): string {
  return `global
  maxconn 9500
  nbthread 2
defaults
  mode http
  timeout connect 3s
  timeout http-request 10s
  timeout client 30s
  timeout server 30s
  timeout tunnel 1h
  timeout queue 5s
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response 503
frontend all
  ${bind}
  bind 127.0.0.1:${plainPort} backlog 16384
  http-request del-header X-Forwarded-For
  option forwardfor
  default_backend server
backend server
  server one 127.0.0.1:${serverPort} source 127.0.3.${number}
`;
}
