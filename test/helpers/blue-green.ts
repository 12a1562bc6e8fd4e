// Two colours of a gateway on this machine behind a real HAProxy with TLS, on one Redis; and who talks meanwhile.
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { Child } from './child.ts';
import { OfficialClient, type OfficialSubscription } from './centrifuge.ts';
import { API_KEY } from './gateway.ts';
import { generateConfig, type Haproxy, startHaproxy } from './haproxy.ts';
import { quietPorts } from './ports.ts';
import { MAIN } from './program.ts';
import { startRedis } from './redis.ts';
import type { Scope } from './scope.ts';
import type { Json } from './server-frames.ts';
import { tempDir } from './temp-dir.ts';
import { waitFor } from './wait-for.ts';

const COLOURS = ['blue', 'green'] as const;
type Colour = (typeof COLOURS)[number];

/** As a service manager would: in a session of its own, and not back before it has ended. */
const START =
  'cd $PLACE && { setsid $NODE $MAIN serve --config COLOUR.json >> COLOUR.log 2>&1 & echo $! > COLOUR.pid; }';
const STOP =
  'cd $PLACE && pid=$(cat COLOUR.pid) && { kill $pid 2> /dev/null || true; while kill -0 $pid 2> /dev/null; do sleep 0.1; done; }';

export interface DeployRun {
  readonly code: number | null;
  readonly output: string;
  /** Of its reports, in order and without repeats. */
  readonly steps: readonly string[];
}

export class BlueGreen {
  readonly directory: string;
  readonly haproxy: Haproxy;
  readonly redisAddress: string;
  readonly #scope: Scope;
  readonly #ports: Readonly<Record<Colour, readonly number[]>>;
  readonly #adminSocket: string;
  readonly #apiPort: number;

  constructor(scope: Scope, parts: BlueGreenParts) {
    this.#scope = scope;
    this.directory = parts.directory;
    this.haproxy = parts.haproxy;
    this.redisAddress = parts.redisAddress;
    this.#ports = parts.ports;
    this.#adminSocket = parts.adminSocket;
    this.#apiPort = parts.apiPort;
    scope.teardown(() => {
      for (const colour of COLOURS) this.kill(colour);
    });
  }

  /** `over` replaces whole sections. */
  async configure(colour: Colour, over: Json = {}): Promise<void> {
    const [port = 0, agentPort = 0] = this.#ports[colour];
    const config = {
      workers: 1,
      http_server: { address: '127.0.0.1', port },
      http_api: { key: API_KEY },
      client: { insecure: true },
      control: { socket: join(this.directory, `${colour}.sock`) },
      shutdown: { timeout: '3s' },
      agent_check: { enabled: true, address: '127.0.0.1', port: agentPort, ready_time: '2s', ramp: '0s' },
      channel: {
        namespaces: [{ name: 'kept', history_size: 10_000, history_ttl: '300s', force_recovery: true }],
      },
      engine: { type: 'redis', redis: { address: this.redisAddress } },
      ...over,
    };
    await writeFile(join(this.directory, `${colour}.json`), JSON.stringify(config));
  }

  begin(...args: string[]): Child {
    const place = (name: string): string => join(this.directory, name);
    return new Child(
      this.#scope,
      process.execPath,
      [
        MAIN,
        'deploy',
        `--config=${place('COLOUR.json')}`,
        `--control=${place('COLOUR.sock')}`,
        `--haproxy=${this.#adminSocket}`,
        `--front=${this.haproxy.httpsUrl}`,
        `--ca=${place('ca.pem')}`,
        `--state=${place('state/deploy.json')}`,
        `--start-command=${START}`,
        `--stop-command=${STOP}`,
        '--settle=500ms',
        '--window=2s',
        ...args,
      ],
      { env: this.#environment },
    );
  }

  get #environment(): Readonly<Record<string, string>> {
    return { PLACE: this.directory, NODE: process.execPath, MAIN };
  }

  async deploy(...args: string[]): Promise<DeployRun> {
    const child = this.begin('--json', ...args);
    const { code } = await child.exited;
    return { code, output: child.output, steps: stepsOf(child.output) };
  }

  async command(line: string): Promise<string> {
    const socket = connect(this.#adminSocket);
    socket.write(`${line}\n`);
    return text(socket);
  }

  /** As HAProxy words it. */
  async serverStatus(colour: Colour): Promise<string> {
    const [names = '', ...rows] = (await this.command('show stat')).split('\n');
    const row = rows.find((each) => each.startsWith(`holdfast,a-${colour},`))?.split(',') ?? [];
    return row[names.replace('# ', '').split(',').indexOf('status')] ?? '';
  }

  log(colour: Colour): Promise<string> {
    return readFile(join(this.directory, `${colour}.log`), 'utf8');
  }

  /** At once, with all its workers. */
  kill(colour: Colour): void {
    try {
      process.kill(-Number(readFileSync(join(this.directory, `${colour}.pid`), 'utf8')), 'SIGKILL');
    } catch {
      // Never started, or ended: nothing is left.
    }
  }

  /** Without `holdfast deploy`, and as HAProxy finds it. */
  async start(colour: Colour): Promise<void> {
    const started = new Child(this.#scope, '/bin/sh', ['-c', START.replaceAll('COLOUR', colour)], {
      env: this.#environment,
    });
    await started.exited;
    await waitFor('HAProxy to take it', async () => (await this.serverStatus(colour)).startsWith('UP'));
  }

  client(): OfficialClient {
    return new OfficialClient(this.#scope, this.haproxy.wssUrl, {
      socket: { ca: this.haproxy.certificate },
      options: { minReconnectDelay: 50, maxReconnectDelay: 500 },
    });
  }

  /** Through HAProxy's address for back ends, until some colour has taken it: once, whatever happens. */
  async publish(channel: string, data: unknown): Promise<void> {
    const body = JSON.stringify({ channel, data, idempotency_key: JSON.stringify(data) });
    await waitFor('a publication to be taken', async () => {
      try {
        const response = await fetch(`http://127.0.0.1:${this.#apiPort}/api/publish`, {
          method: 'POST',
          headers: { 'X-API-Key': API_KEY, 'Content-Type': 'application/json' },
          body,
        });
        const answer = await response.text();
        return response.status === 200 && !answer.includes('"error"');
      } catch {
        return false;
      }
    });
  }
}

interface BlueGreenParts {
  readonly directory: string;
  readonly haproxy: Haproxy;
  readonly redisAddress: string;
  readonly ports: Readonly<Record<Colour, readonly number[]>>;
  readonly adminSocket: string;
  readonly apiPort: number;
}

/** Nothing runs yet but HAProxy and Redis. */
export async function blueGreen(scope: Scope): Promise<BlueGreen> {
  const directory = await tempDir(scope);
  const redis = await startRedis(scope);
  const [one = 0, two = 0, three = 0, four = 0, apiPort = 0] = await quietPorts(5);
  const ports = { blue: [one, two], green: [three, four] };
  const pair = `a=127.0.0.1:${one}/agent=${two},127.0.0.1:${three}/agent=${four}`;
  const configFile = await generateConfig(scope, [pair, '--no-ops-bind', `--api-bind=127.0.0.1:${apiPort}`]);
  const adminSocket = join(directory, 'admin.sock');
  const written = await readFile(configFile, 'utf8');
  const opened = `global\n    stats socket ${adminSocket} level admin\n`;
  // Checks as they are, but ten times as often: a test waits for each of them.
  const checks = written.replaceAll(/(inter|fastinter|downinter|agent-inter) (\d)s/g, '$1 $200ms');
  await writeFile(configFile, checks.replace('global\n', opened));
  const haproxy = await startHaproxy(scope, { configFile });
  await writeFile(join(directory, 'ca.pem'), haproxy.certificate);
  const redisAddress = `unix://${redis.path}`;
  const place = new BlueGreen(scope, { directory, haproxy, redisAddress, ports, adminSocket, apiPort });
  for (const colour of COLOURS) await place.configure(colour);
  return place;
}

export function stepsOf(output: string): readonly string[] {
  const steps = [...output.matchAll(/^\{"step":"([\w-]+)"/gm)].map(([, step = '']) => step);
  return steps.filter((step, index) => step !== steps[index - 1]);
}

/** Clients in a channel with history into which somebody publishes numbers without a break. */
export class Audience {
  readonly members: readonly {
    readonly client: OfficialClient;
    readonly subscription: OfficialSubscription;
  }[];
  readonly #place: BlueGreen;
  readonly #talk: Promise<void>;
  #sent = 0;
  #isOver = false;

  private constructor(
    place: BlueGreen,
    members: readonly { readonly client: OfficialClient; readonly subscription: OfficialSubscription }[],
  ) {
    this.#place = place;
    this.members = members;
    this.#talk = this.#publish();
  }

  static async gather(place: BlueGreen, size: number): Promise<Audience> {
    const members = await Promise.all(
      Array.from({ length: size }, async () => {
        const client = await place.client().connect();
        return { client, subscription: await client.subscribe('kept:all') };
      }),
    );
    return new Audience(place, members);
  }

  /** Times that anybody had to connect. */
  get connects(): number {
    return this.members.reduce((sum, { client }) => sum + client.count('connected'), 0);
  }

  get errors(): number {
    return this.members.reduce((sum, { client }) => sum + client.count('error'), 0);
  }

  /** Falls silent, and says what somebody did not hear, heard twice or in another order. */
  async hush(): Promise<readonly string[]> {
    this.#isOver = true;
    await this.#talk;
    const all = Array.from({ length: this.#sent }, (_, index) => index + 1);
    await waitFor('the last words', () =>
      this.members.every(({ subscription }) => subscription.publications.length >= all.length),
    ).catch(() => undefined);
    return this.members.flatMap(({ subscription }, number) => {
      const heard = subscription.publications;
      return JSON.stringify(heard) === JSON.stringify(all)
        ? []
        : [`client ${number}: ${heard.length} of ${all.length}`];
    });
  }

  async #publish(): Promise<void> {
    while (!this.#isOver) {
      await this.#place.publish('kept:all', this.#sent + 1);
      this.#sent += 1;
      await delay(20);
    }
  }
}
