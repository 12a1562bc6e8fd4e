// `holdfast token` and `holdfast sub-token`: tokens signed with the configured HMAC secret.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { signConnectionToken, signSubscriptionToken } from '../auth/sign-token.ts';
import { parseDuration } from '../config/duration.ts';
import type { Config } from '../config/schema.ts';
import { CliError, ExitCodes } from './cli-error.ts';
import { type CliDeps, printJson } from './cli-deps.ts';
import { addConfigFlags, configFrom, type ConfigFlags } from './config-options.ts';

interface TokenFlags extends ConfigFlags {
  readonly user: string;
  /** Milliseconds. */
  readonly expires: number | 'never';
  readonly info?: string;
  readonly secret?: string;
  readonly json?: true;
}

export function addToken(program: Command, deps: CliDeps): void {
  addTokenFlags(program.command('token').description('sign a connection token'))
    .option('--channel <name>', 'subscribe the connection to this channel; may be repeated', collectText)
    .addHelpText('after', '\nExample:\n  $ holdfast token --user 42 --expires 1h --config holdfast.yaml')
    .action(async (flags: TokenFlags & { channel?: readonly string[] }) => {
      const { secret, checks } = await signing(flags, deps, 'token');
      const times = timesOf(flags, deps);
      const fields = { user: flags.user, info: flags.info, channels: flags.channel, ...checks, ...times };
      print(await signConnectionToken(fields, secret), flags, times, deps);
    });
}

export function addSubToken(program: Command, deps: CliDeps): void {
  addTokenFlags(program.command('sub-token').description('sign a subscription token'))
    .requiredOption('--channel <name>', 'the channel that the token opens')
    .addHelpText(
      'after',
      '\nExample:\n  $ holdfast sub-token --user 42 --channel chat:index --config holdfast.yaml',
    )
    .action(async (flags: TokenFlags & { channel: string }) => {
      const { secret, checks } = await signing(flags, deps, 'subscription_token');
      const times = timesOf(flags, deps);
      const fields = { user: flags.user, info: flags.info, channel: flags.channel, ...checks, ...times };
      print(await signSubscriptionToken(fields, secret), flags, times, deps);
    });
}

function addTokenFlags(command: Command): Command {
  return addConfigFlags(command)
    .requiredOption('--user <id>', 'user id; "" for an anonymous user')
    .addOption(
      new Option('--expires <duration>', 'such as 30m or 24h, or `never`')
        .argParser(parseExpiry)
        .default(3_600_000, '1h'),
    )
    .option('--info <json>', 'what others see of the client', parseJsonText)
    .option(
      '--secret <secret>',
      'HMAC secret; better in HOLDFAST_CLIENT_TOKEN_HMAC_SECRET_KEY or the configuration',
    )
    .option('--json', 'print the token with its times as JSON');
}

export interface Signing {
  readonly secret: string;
  /** What the verifier will ask for, so that the token passes. */
  readonly checks: { readonly audience?: string; readonly issuer?: string };
}

/** Undefined when no secret is known. */
export function signingFrom(
  config: Config,
  kind: 'token' | 'subscription_token',
  secret: string | undefined,
): Signing | undefined {
  const { client } = config;
  const section =
    kind === 'subscription_token' && client.subscription_token.enabled ? client[kind] : client.token;
  const chosen = secret ?? section.hmac_secret_key;
  if (chosen === '') return undefined;
  return {
    secret: chosen,
    checks: {
      ...(section.audience === '' ? {} : { audience: section.audience }),
      ...(section.issuer === '' ? {} : { issuer: section.issuer }),
    },
  };
}

async function signing(
  flags: TokenFlags,
  deps: CliDeps,
  kind: 'token' | 'subscription_token',
): Promise<Signing> {
  const config = await configFrom(flags, deps);
  const found = signingFrom(config, kind, flags.secret);
  if (found !== undefined) return found;
  const name = kind === 'subscription_token' && config.client.subscription_token.enabled ? kind : 'token';
  throw new CliError(
    ExitCodes.config,
    `client.${name}.hmac_secret_key is not set: give --config FILE, ` +
      `HOLDFAST_CLIENT_${name.toUpperCase()}_HMAC_SECRET_KEY or --secret`,
  );
}

interface TokenTimes {
  readonly issuedAtMs: number;
  readonly expiresAtMs: number | undefined;
}

function timesOf(flags: TokenFlags, deps: CliDeps): TokenTimes {
  const issuedAtMs = deps.clock.wallMs();
  return { issuedAtMs, expiresAtMs: flags.expires === 'never' ? undefined : issuedAtMs + flags.expires };
}

function print(token: string, flags: TokenFlags, { expiresAtMs }: TokenTimes, deps: CliDeps): void {
  if (flags.json !== true) {
    deps.stdout.write(`${token}\n`);
    return;
  }
  const expiresAt =
    expiresAtMs === undefined ? null : new Date(Math.floor(expiresAtMs / 1_000) * 1_000).toISOString();
  printJson(deps, { token, user: flags.user, expires_at: expiresAt });
}

function parseExpiry(written: string): number | 'never' {
  if (written === 'never') return written;
  const durationMs = parseDuration(written);
  if (durationMs === undefined || durationMs === 0)
    throw new InvalidArgumentError('Write a duration such as 30m or 24h, or `never`.');
  return durationMs;
}

export function parseJsonText(written: string): string {
  try {
    JSON.parse(written);
    return written;
  } catch {
    throw new InvalidArgumentError(`It is not JSON. A text needs quotes of its own: '"like this"'.`);
  }
}

function collectText(written: string, before: readonly string[] = []): readonly string[] {
  return [...before, written];
}
