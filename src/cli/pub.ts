// `holdfast pub CHANNEL JSON`: publishes through the HTTP API of a running gateway.
import { type Command, InvalidArgumentError } from 'commander';
import { CliError, ExitCodes } from './cli-error.ts';
import { type CliDeps, printJson } from './cli-deps.ts';
import { addConfigFlags, configFrom, type ConfigFlags, nonEmpty } from './config-options.ts';
import { apiUrl } from './gateway-url.ts';
import { parseJsonText } from './token.ts';

interface PubFlags extends ConfigFlags {
  readonly url?: string;
  readonly key?: string;
  readonly json?: true;
}

const ANSWER_TIMEOUT_MS = 10_000;
const EXIT_CODES = '\n\nExit codes: 0 published, 1 refused, 69 no gateway answers, 78 wrong configuration.';

export function addPub(program: Command, deps: CliDeps): void {
  addConfigFlags(
    program
      .command('pub')
      .description('publish into a channel through the HTTP API')
      .argument('<channel>', 'name of the channel', nonEmpty)
      .argument('<json>', 'what to publish; - reads it from standard input'),
  )
    .option('--url <url>', 'another gateway, such as http://10.0.0.7:8000', parseUrl)
    .option('--key <key>', 'API key; better in HOLDFAST_HTTP_API_KEY or the configuration')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `\nExample:\n  $ holdfast pub chat:index '{"text":"hello"}' --config holdfast.yaml${EXIT_CODES}`,
    )
    .action(async (channel: string, written: string, flags: PubFlags) => {
      const data = written === '-' ? await deps.readText() : written;
      await publish(channel, dataOf(data), flags, deps);
    });
}

function dataOf(written: string): string {
  try {
    return parseJsonText(written);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new CliError(ExitCodes.usage, `what to publish: ${error.message}`);
  }
}

async function publish(channel: string, data: string, flags: PubFlags, deps: CliDeps): Promise<void> {
  const config = await configFrom(flags, deps);
  const url = apiUrl(config, flags.url);
  url.pathname += '/publish';
  const key = flags.key ?? config.http_api.key;
  const answer = await post(url, `{"channel":${JSON.stringify(channel)},"data":${data}}`, key);
  const result = resultOf(answer, url);
  if (flags.json === true) {
    printJson(deps, result);
    return;
  }
  const { offset, epoch } = result;
  const place =
    offset === undefined ? '' : ` at offset ${JSON.stringify(offset)} of epoch ${JSON.stringify(epoch)}`;
  deps.stdout.write(`published to ${channel}${place}\n`);
}

interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

async function post(url: URL, body: string, key: string): Promise<HttpAnswer> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key === '' ? {} : { 'x-api-key': key }) },
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    // It may stall after its head, too.
    return { status: response.status, text: await response.text() };
  } catch (error) {
    throw unreachable(url, error);
  }
}

function resultOf({ status, text }: HttpAnswer, url: URL): Record<string, unknown> {
  if (status === 401) {
    throw new CliError(
      ExitCodes.failure,
      'the gateway refuses the API key (401): give its http_api.key by --config, HOLDFAST_HTTP_API_KEY or --key',
    );
  }
  const answer = parseObject(text);
  if (answer === undefined || (status !== 200 && !('code' in answer))) {
    throw new CliError(
      ExitCodes.failure,
      `${url.origin} answers with status ${status}, which is not the API of a gateway`,
    );
  }
  // In the transport error mode the body is the bare error.
  const error = status === 200 ? answer['error'] : answer;
  if (error !== undefined) {
    const { code, message } = { code: '?', message: '?', ...(typeof error === 'object' ? error : {}) };
    throw new CliError(ExitCodes.failure, `the gateway answers with error ${code}: ${message}`);
  }
  const result = answer['result'];
  return typeof result === 'object' && result !== null ? { ...result } : {};
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

export function unreachable(url: URL, error: unknown): CliError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  return new CliError(
    ExitCodes.unavailable,
    `no gateway answers at ${url.origin} (${code}): start one with \`holdfast serve\`, ` +
      'or say where it is with --config or --url',
    { cause: error },
  );
}

export function parseUrl(written: string): string {
  if (!URL.canParse(written) || !/^(?:https?|wss?):\/\//.test(written)) {
    throw new InvalidArgumentError('Write an address such as http://10.0.0.7:8000.');
  }
  return written;
}
