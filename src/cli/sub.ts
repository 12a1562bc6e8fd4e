// `holdfast sub CHANNEL`: a live tail of a channel, which comes back by itself and recovers where the channel allows it.
import { type Command, InvalidArgumentError } from 'commander';
import { signConnectionToken, signSubscriptionToken } from '../auth/sign-token.ts';
import type { Config } from '../config/schema.ts';
import type { StreamPosition } from '../protocol/publication.ts';
import { pause } from '../util/pause.ts';
import { CliError, ExitCodes } from './cli-error.ts';
import { type CliDeps, note, paint } from './cli-deps.ts';
import { addConfigFlags, configFrom, type ConfigFlags, nonEmpty } from './config-options.ts';
import { websocketUrl } from './gateway-url.ts';
import { interruptible } from './interrupt.ts';
import { parseUrl, unreachable } from './pub.ts';
import { tail, type TailPublication } from './tail.ts';
import { signingFrom } from './token.ts';

interface SubFlags extends ConfigFlags {
  readonly url?: string;
  readonly user: string;
  readonly token?: string;
  readonly subToken?: string;
  readonly origin?: string;
  readonly count?: number;
  readonly json?: true;
}

const NO_TOKEN =
  '; no token was sent: give --config with client.token.hmac_secret_key, or --token, or serve with --dev';
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 10_000;

export function addSub(program: Command, deps: CliDeps): void {
  addConfigFlags(
    program
      .command('sub')
      .description('print what is published into a channel, live')
      .argument('<channel>', 'name of the channel', nonEmpty),
  )
    .option('--url <url>', 'another gateway, such as http://10.0.0.7:8000 or wss://example.com', parseUrl)
    .option('--user <id>', 'user of the tokens that are signed when the HMAC secret is configured', 'cli')
    .option('--token <jwt>', 'connection token instead')
    .option('--sub-token <jwt>', 'subscription token instead')
    .option('--origin <origin>', 'send this Origin header')
    .option('--count <n>', 'end after so many publications', parseCount)
    .option('--json', 'print whole publications, one JSON object a line, instead of their data')
    .addHelpText(
      'after',
      '\nExample:\n  $ holdfast sub chat:index --config holdfast.yaml\n\n' +
        'Exit codes: 0 ended by Ctrl-C or --count, 1 refused, 69 no gateway answers, 78 wrong configuration.',
    )
    .action(async (channel: string, flags: SubFlags) => {
      const config = await configFrom(flags, deps);
      const follower = new Follower({ channel, flags, config, deps });
      await interruptible((signal) => follower.run(signal));
    });
}

interface FollowerOptions {
  readonly channel: string;
  readonly flags: SubFlags;
  readonly config: Config;
  readonly deps: CliDeps;
}

class Follower {
  readonly #options: FollowerOptions;
  readonly #enough = new AbortController();
  #position: StreamPosition | undefined;
  #seen = 0;
  /** Attempts since the last successful subscribe. */
  #failures = 0;
  #wasSubscribed = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  async run(interrupted: AbortSignal): Promise<void> {
    const { channel, flags, config, deps } = this.#options;
    const url = websocketUrl(config, flags.url);
    const signal = AbortSignal.any([interrupted, this.#enough.signal]);
    while (!signal.aborted) {
      const tokens = await this.#tokens();
      const end = await tail(
        {
          url,
          channel,
          ...tokens,
          since: this.#position,
          headers: this.#headers(),
          version: deps.version,
        },
        {
          onSubscribed: (result) => this.#onSubscribed(result),
          onPublication: (each) => this.#onPublication(each),
        },
        signal,
      );
      if (end.kind === 'stopped') return;
      if (end.kind === 'refused') {
        const isStranger = tokens.token === undefined && /^(?:closed|error)/.test(end.message);
        const hint = isStranger && !this.#wasSubscribed ? NO_TOKEN : '';
        throw new CliError(ExitCodes.failure, `${url.origin}: ${end.message}${hint}`);
      }
      if (end.kind === 'unreachable' && !this.#wasSubscribed) throw refusedUpgrade(url, end.error);
      const message = end.kind === 'lost' ? end.message : end.error.message;
      const waitMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures);
      this.#failures += 1;
      note(deps, paint(deps.stderr, deps.environment, 'yellow', `${message}; trying again`));
      await pause(waitMs, signal);
    }
  }

  #onSubscribed(result: {
    wasRecovering: boolean;
    recovered: boolean;
    position: StreamPosition | undefined;
  }): void {
    const { channel, deps } = this.#options;
    this.#wasSubscribed = true;
    this.#failures = 0;
    if (result.wasRecovering && !result.recovered) note(deps, 'some publications were missed');
    if (!result.recovered) this.#position = result.position;
    note(deps, paint(deps.stderr, deps.environment, 'dim', `subscribed to ${channel}; Ctrl-C ends`));
  }

  #onPublication(publication: TailPublication): void {
    const { flags, deps } = this.#options;
    if (this.#enough.signal.aborted) return;
    if (this.#position !== undefined && publication.offset !== undefined) {
      this.#position = { ...this.#position, offset: publication.offset };
    }
    deps.stdout.write(`${flags.json === true ? publication.whole : publication.data}\n`);
    this.#seen += 1;
    if (this.#seen === flags.count) this.#enough.abort();
  }

  #headers(): Record<string, string> {
    const { origin } = this.#options.flags;
    return origin === undefined ? {} : { origin };
  }

  /** Who holds the secret may read everything, so both tokens are signed where they were not given. */
  async #tokens(): Promise<{ token: string | undefined; subscriptionToken: string | undefined }> {
    const { channel, flags, config, deps } = this.#options;
    const { user } = flags;
    const issuedAtMs = deps.clock.wallMs();
    const forConnection = signingFrom(config, 'token', undefined);
    const forSubscription = signingFrom(config, 'subscription_token', undefined);
    const ownToken = flags.token !== undefined;
    return {
      token:
        flags.token ??
        (forConnection &&
          (await signConnectionToken({ user, issuedAtMs, ...forConnection.checks }, forConnection.secret))),
      subscriptionToken:
        flags.subToken ??
        (ownToken || forSubscription === undefined
          ? undefined
          : await signSubscriptionToken(
              { user, channel, issuedAtMs, ...forSubscription.checks },
              forSubscription.secret,
            )),
    };
  }
}

/** The WebSocket client tells a status other than 101 only in words. */
function refusedUpgrade(url: URL, error: Error): CliError {
  const status = /Unexpected server response: (\d+)/.exec(error.message)?.[1];
  if (status === undefined) return unreachable(url, error);
  const hint = status === '403' ? ': client.allowed_origins does not list the origin' : '';
  return new CliError(ExitCodes.failure, `${url.origin} answers the upgrade with status ${status}${hint}`);
}

function parseCount(written: string): number {
  if (!/^[1-9]\d*$/.test(written)) throw new InvalidArgumentError('Write a whole number from 1.');
  return Number(written);
}
