// `fetch` that trusts one certificate more: the built-in one can only be told so before the process starts.
import { request } from 'node:https';
import { Readable } from 'node:stream';

export function trustingFetch(ca: string): typeof fetch {
  return (input, init = {}) =>
    new Promise((resolve, reject) => {
      const url = input instanceof Request ? input.url : String(input);
      const { signal, body } = init;
      const outgoing = request(url, {
        method: init.method ?? 'GET',
        headers: Object.fromEntries(new Headers(init.headers)),
        ca,
        ...(signal && { signal }),
      });
      outgoing.on('error', reject);
      outgoing.on('response', (incoming) => {
        // An abort ends the body with an error, which is for its reader.
        incoming.on('error', () => undefined);
        const status = incoming.statusCode ?? 0;
        const isEmpty = status === 204 || status === 304;
        if (isEmpty) incoming.resume();
        const headers = new Headers();
        for (const [name, value] of Object.entries(incoming.headers)) headers.set(name, String(value));
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- two declarations of the same stream
        const stream = isEmpty ? null : (Readable.toWeb(incoming) as ReadableStream<Uint8Array>);
        resolve(new Response(stream, { status, headers }));
      });
      if (typeof body === 'string' || body instanceof Uint8Array) outgoing.end(body);
      else outgoing.end();
    });
}
