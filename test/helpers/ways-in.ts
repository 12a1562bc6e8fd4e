// Every way in which the official client can connect, as one list for the tests that all of them must pass.
import type { Options } from 'centrifuge';
import { EventSource } from 'eventsource';
import { OfficialClient } from './centrifuge.ts';
import type { Scope } from './scope.ts';
import { trustingFetch } from './trusting-fetch.ts';

/** Where clients come in. */
export interface Entrance {
  /** `http://host:port` or `https://host:port`. */
  readonly origin: string;
  /** To be trusted by clients. */
  readonly ca?: string;
}

export interface WayIn {
  readonly transport: 'websocket' | 'http_stream' | 'sse';
  readonly protobuf: boolean;
}

export const WAYS_IN: readonly WayIn[] = [
  { transport: 'websocket', protobuf: false },
  { transport: 'websocket', protobuf: true },
  { transport: 'http_stream', protobuf: false },
  { transport: 'http_stream', protobuf: true },
  { transport: 'sse', protobuf: false },
];

export function nameOf({ transport, protobuf }: WayIn): string {
  return `${transport}, ${protobuf ? 'Protobuf' : 'JSON'}`;
}

export function newClient(
  scope: Scope,
  { origin, ca }: Entrance,
  { transport, protobuf }: WayIn,
  options: Partial<Options> = {},
): OfficialClient {
  const endpoint = `${origin}/connection/${transport}`;
  const fast = { minReconnectDelay: 20, maxReconnectDelay: 200, ...options };
  if (transport === 'websocket') {
    const url = endpoint.replace(/^http/, 'ws');
    return new OfficialClient(scope, url, {
      protobuf,
      options: fast,
      socket: ca === undefined ? {} : { ca },
    });
  }
  const fetchOf = ca === undefined ? fetch : trustingFetch(ca);
  return new OfficialClient(scope, [{ transport, endpoint }], {
    protobuf,
    options: {
      ...fast,
      emulationEndpoint: `${origin}/emulation`,
      fetch: fetchOf,
      readableStream: ReadableStream,
      // The client gives it no options: they are bound here.
      eventsource: class extends EventSource {
        constructor(url: string) {
          super(url, { fetch: fetchOf });
        }
      },
    },
  });
}

/** Payloads as the build takes and gives them: the Protobuf one carries bytes. */
export function payloads({ protobuf }: WayIn): {
  readonly write: (value: unknown) => unknown;
  readonly read: (data: unknown) => unknown;
} {
  return {
    write: (value) => (protobuf ? Buffer.from(JSON.stringify(value)) : value),
    read: (data) =>
      protobuf && data instanceof Uint8Array ? JSON.parse(Buffer.from(data).toString()) : data,
  };
}
