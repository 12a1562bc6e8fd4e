// The canary of `holdfast deploy`: a client comes in through the front, pinned to the new colour, and has to hear what both
// colours publish.
import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import type { LookupFunction } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Config } from '../config/schema.ts';
import type { ColourService } from '../deploy/colour-service.ts';
import type { Colour } from '../deploy/plan.ts';
import { SERVER_HEADER } from '../front/canary.ts';
import { UnavailableError, asError, messageOf } from '../util/errors.ts';
import { type TailEnd, tail } from './tail.ts';

export interface CanaryPlan {
  /** As clients reach the front. */
  readonly url: URL;
  /** Where its name leads; undefined: as DNS says. */
  readonly frontAddress: string | undefined;
  /** Of the front's certificate; undefined: those that Node trusts. */
  readonly ca: string | undefined;
  readonly origin: string | undefined;
  readonly channel: string;
  readonly tokens: () => Promise<{ token: string | undefined; subscriptionToken: string | undefined }>;
  /** The pair in HAProxy. */
  readonly host: string;
  readonly configs: Readonly<Record<Colour, Config>>;
  readonly services: Readonly<Record<Colour, ColourService>>;
  /** Where a colour answers the server API when its gateway does not know; COLOUR stands for it. */
  readonly api: string;
  readonly version: string;
}

const ANSWER_TIMEOUT_MS = 5000;

/** Rejects with UnavailableError and the reason. */
export async function canary(
  plan: CanaryPlan,
  to: Colour,
  from: Colour | null,
  signal: AbortSignal,
): Promise<void> {
  const enough = new AbortController();
  const either = AbortSignal.any([signal, enough.signal]);
  const publishers = from === null ? [to] : [to, from];
  const expected = new Map(publishers.map((colour) => [JSON.stringify({ canary: randomUUID() }), colour]));
  const missing = new Map(expected);
  let server: string | undefined;
  let failure: Error | undefined;
  const publishAll = async (): Promise<void> => {
    for (const [data, colour] of expected) await publish(plan, colour, data, either);
  };
  const { token, subscriptionToken } = await plan.tokens();
  const wanted = `${plan.host}-${to}`;
  const end = await tail(
    {
      url: plan.url,
      channel: plan.channel,
      token,
      subscriptionToken,
      since: undefined,
      headers: {
        [SERVER_HEADER]: wanted,
        ...(plan.origin === undefined ? {} : { origin: plan.origin }),
      },
      socket: {
        ...(plan.ca === undefined ? {} : { ca: plan.ca }),
        ...(plan.frontAddress === undefined ? {} : { lookup: lookupAs(plan.frontAddress) }),
      },
      version: plan.version,
    },
    {
      onUpgrade: (headers) => {
        server = String(headers[SERVER_HEADER.toLowerCase()] ?? 'nobody that it names');
        if (server !== wanted) enough.abort();
      },
      onSubscribed: () => {
        publishAll().catch((error: unknown) => {
          failure = asError(error);
          enough.abort();
        });
      },
      onPublication: ({ data }) => {
        missing.delete(data);
        if (missing.size === 0) enough.abort();
      },
    },
    AbortSignal.any([either, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
  );
  if (missing.size === 0 && server === wanted) return;
  const reason = reasonOf({ end, server, wanted, failure, missing: [...missing.values()] });
  throw new UnavailableError(reason, { cause: failure });
}

interface Outcome {
  readonly end: TailEnd;
  readonly server: string | undefined;
  readonly wanted: string;
  readonly failure: Error | undefined;
  readonly missing: readonly Colour[];
}

function reasonOf({ end, server, wanted, failure, missing }: Outcome): string {
  if (server !== undefined && server !== wanted) {
    return `the front leads to ${server}, not ${wanted} (is its configuration of this version, and this address in --canary-from?)`;
  }
  if (failure !== undefined) return failure.message;
  switch (end.kind) {
    case 'unreachable':
      return `the front: ${end.error.message}`;
    case 'refused':
    case 'lost':
      return end.message;
    case 'stopped':
      return server === undefined
        ? 'the front does not answer'
        : `what ${missing.join(' and ')} published did not arrive: do both use the same Redis?`;
  }
}

/** Through the API of this colour itself. */
async function publish(plan: CanaryPlan, colour: Colour, data: string, signal: AbortSignal): Promise<void> {
  const { http_api: api } = plan.configs[colour];
  const place = apiPlace(await plan.services[colour].status(), plan.api.replaceAll('COLOUR', colour));
  const body = `{"channel":${JSON.stringify(plan.channel)},"data":${data}}`;
  const timeout = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const answer = await new Promise<string>((resolve, reject) => {
    const asked = request(
      {
        ...place,
        method: 'POST',
        path: `${api.handler_prefix}/publish`,
        headers: {
          host: 'localhost',
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          ...(api.key === '' ? {} : { 'x-api-key': api.key }),
        },
        signal: AbortSignal.any([signal, timeout]),
      },
      (response) => {
        text(response).then((content) => resolve(`${response.statusCode} ${content}`), reject);
      },
    );
    asked.once('error', reject);
    asked.end(body);
  }).catch((cause: unknown) => {
    const reason = messageOf(cause);
    throw new UnavailableError(`the server API of ${colour} at ${placeText(place)}: ${reason}`, { cause });
  });
  if (!answer.startsWith('200 ') || answer.includes('"error"')) {
    throw new UnavailableError(`the server API of ${colour} answers ${answer.slice(0, 200)}`);
  }
}

type ApiPlace = { readonly socketPath: string } | { readonly host: string; readonly port: number };

/** Its own word first; of a socket that systemd opened a gateway does not know the path. */
function apiPlace(status: { readonly addresses: readonly string[] } | undefined, fallback: string): ApiPlace {
  for (const written of [...(status?.addresses ?? []), fallback]) {
    const place = parsePlace(written);
    if (place !== undefined) return place;
  }
  throw new UnavailableError(
    `where the server API is: --api ${fallback} is neither unix:/PATH nor HOST:PORT`,
  );
}

function parsePlace(written: string): ApiPlace | undefined {
  if (written.startsWith('unix:')) return { socketPath: written.slice('unix:'.length) };
  const [, host, port] = /^\[?([\w.:-]*?)\]?:(\d+)$/.exec(written) ?? [];
  if (port === undefined || written.startsWith('systemd:')) return undefined;
  const isAny = host === undefined || host === '' || host === '::' || host === '0.0.0.0';
  return { host: isAny ? '127.0.0.1' : host, port: Number(port) };
}

function placeText(place: ApiPlace): string {
  return 'socketPath' in place ? place.socketPath : `${place.host}:${place.port}`;
}

function lookupAs(address: string): LookupFunction {
  const family = address.includes(':') ? 6 : 4;
  return (_host, options, callback) => {
    if (options.all === true) callback(null, [{ address, family }]);
    else callback(null, address, family);
  };
}
