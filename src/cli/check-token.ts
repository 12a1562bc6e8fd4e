// `holdfast check-token TOKEN`: would the gateway accept it, and what does it say?
import { type Command, Option } from 'commander';
import { openTokenVerifier } from '../app/token-verifier.ts';
import { InvalidTokenError, TokenExpiredError } from '../auth/token-errors.ts';
import type { TokenVerifier } from '../auth/token-verifier.ts';
import { memberSpan, memberSpans } from '../protocol/json-span.ts';
import { UnavailableError } from '../util/errors.ts';
import { isFields } from '../util/fields.ts';
import { CliError, ExitCodes } from './cli-error.ts';
import { type CliDeps, note, paint } from './cli-deps.ts';
import { addConfigFlags, configFrom, type ConfigFlags } from './config-options.ts';

type TokenKind = 'connection' | 'subscription';

interface CheckTokenFlags extends ConfigFlags {
  readonly type?: TokenKind;
  readonly json?: true;
}

export function addCheckToken(program: Command, deps: CliDeps): void {
  addConfigFlags(
    program
      .command('check-token')
      .description('verify a token as the gateway would, and print its claims')
      .argument('<token>', 'the JWT; - reads it from standard input'),
  )
    .addOption(
      new Option('--type <type>', 'default: a token with a `channel` claim is one of a subscription').choices(
        ['connection', 'subscription'],
      ),
    )
    .option('--json', 'print the outcome as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  $ holdfast check-token "$TOKEN" --config holdfast.yaml\n\nExit codes: 0 accepted, 1 refused, 69 no keys to be had.',
    )
    .action(async (given: string, flags: CheckTokenFlags) => {
      const token = given === '-' ? (await deps.readText()).trim() : given;
      await checkToken(token, flags, deps);
    });
}

async function checkToken(token: string, flags: CheckTokenFlags, deps: CliDeps): Promise<void> {
  const config = await configFrom(flags, deps);
  const claims = claimsOf(token);
  const type =
    flags.type ??
    (claims !== undefined && memberSpan(claims, ['channel']) !== undefined ? 'subscription' : 'connection');
  const observer = {
    jwksFetched: () => undefined,
    jwksFailed: ({ reason }: { reason: string }) => note(deps, `the JWKS endpoint: ${reason}`),
  };
  const open = openTokenVerifier({ clock: deps.clock, observer }, config.client);
  let refusal: string | undefined;
  try {
    refusal = await refusalOf(open.verifier, token, type);
  } finally {
    await open.close();
  }
  if (flags.json === true) {
    const facts = {
      valid: refusal === undefined,
      type,
      ...(refusal === undefined ? {} : { reason: refusal }),
    };
    const claimsText = claims === undefined ? '' : `,\n  "claims": ${claims}`;
    deps.stdout.write(`${JSON.stringify(facts, null, 2).slice(0, -2)}${claimsText}\n}\n`);
  } else if (claims !== undefined) {
    const outcome = refusal === undefined ? 'accepted' : 'refused';
    const colour = refusal === undefined ? 'green' : 'red';
    deps.stdout.write(`${type} token: ${paint(deps.stdout, deps.environment, colour, outcome)}\n`);
    for (const [name, value] of memberSpans(claims)) {
      deps.stdout.write(`  ${name}: ${value}${timeText(name, value)}\n`);
    }
  }
  if (refusal !== undefined) throw new CliError(ExitCodes.failure, refusal);
}

async function refusalOf(
  verifier: TokenVerifier,
  token: string,
  type: TokenKind,
): Promise<string | undefined> {
  try {
    await (type === 'connection' ? verifier.verifyConnection(token) : verifier.verifySubscription(token));
    return undefined;
  } catch (error) {
    if (error instanceof InvalidTokenError || error instanceof TokenExpiredError) return error.message;
    if (error instanceof UnavailableError)
      throw new CliError(ExitCodes.unavailable, error.message, { cause: error });
    throw error;
  }
}

/** Unverified, and as they were written; only to be shown beside the outcome. */
function claimsOf(token: string): string | undefined {
  const text = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
  try {
    const claims: unknown = JSON.parse(text);
    return isFields(claims) ? text : undefined;
  } catch {
    return undefined;
  }
}

const TIME_CLAIMS = new Set(['exp', 'nbf', 'iat', 'expire_at']);

function timeText(name: string, value: string): string {
  if (!TIME_CLAIMS.has(name)) return '';
  const time = new Date(Number(value) * 1_000);
  return Number.isNaN(time.getTime()) ? '' : ` (${time.toISOString()})`;
}
