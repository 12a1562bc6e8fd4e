// The other end of a streaming response: sends one request and takes the body apart into messages as they come.
import { type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { deferred } from './deferred.ts';
import { Inbox } from './inbox.ts';
import type { Scope } from './scope.ts';
import { isJson, type Json } from './server-frames.ts';
import { within } from './wait-for.ts';

export interface StreamRequest {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** To trust a certificate. */
  readonly ca?: string | undefined;
  /** Reads nothing until `read` is called. */
  readonly reads?: boolean;
}

export class StreamClient {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** All JSON messages so far, in order. */
  readonly received: Json[] = [];
  readonly #request: ClientRequest;
  readonly #response: IncomingMessage;
  readonly #messages = new Inbox<Json>();
  readonly #ended = deferred<void>();
  readonly #chunks: Buffer[] = [];
  /** The beginning of a message, of which the end has not come. */
  #rest: string[] = [];

  private constructor(request: ClientRequest, response: IncomingMessage, reads: boolean) {
    this.#request = request;
    this.#response = response;
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    response.on('close', this.#ended.resolve);
    // A cut is one of the ends that tests expect.
    response.on('error', () => undefined);
    if (reads) this.read();
  }

  /** Resolves when the head of the response is there. */
  static open(
    scope: Scope,
    url: string,
    { method = 'POST', headers = {}, body, ca, reads = true }: StreamRequest = {},
  ): Promise<StreamClient> {
    const send = url.startsWith('https:') ? httpsRequest : httpRequest;
    const { promise, resolve } = deferred<StreamClient>();
    const request = send(url, { method, headers, agent: false, ...(ca !== undefined && { ca }) });
    request.on('response', (response) => resolve(new StreamClient(request, response, reads)));
    // Without an answer the wait below says so.
    request.on('error', () => undefined);
    scope.teardown(() => request.destroy());
    request.end(body);
    return within(`the response of ${url}`, promise);
  }

  read(): void {
    const isStream = this.status === 200 && this.headers['content-type'] !== 'application/octet-stream';
    this.#response.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      if (isStream) this.#take(chunk.toString());
    });
  }

  /** The body so far. */
  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString();
  }

  /** The next message that is no ping. */
  async next(
    what: string,
    matches: (message: Json) => boolean = () => true,
    deadlineMs?: number,
  ): Promise<Json> {
    return this.#messages.next(what, matches, deadlineMs);
  }

  /** The next message with this member, unwrapped: of a reply, a push, or a bare push. */
  async member(name: string, deadlineMs?: number): Promise<Json> {
    const contentOf = (message: Json): unknown => (isJson(message['push']) ? message['push'] : message)[name];
    const message = await this.next(`'${name}'`, (each) => isJson(contentOf(each)), deadlineMs);
    const content = contentOf(message);
    return isJson(content) ? content : {};
  }

  get pings(): number {
    return this.received.filter((message) => Object.keys(message).length === 0).length;
  }

  /** Waits until the body is over, however it ends. */
  ended(deadlineMs?: number): Promise<void> {
    return within('the end of the body', this.#ended.promise, deadlineMs);
  }

  /** True when the body was complete. */
  get isComplete(): boolean {
    return this.#response.complete;
  }

  /** Goes away without a word. */
  cut(): void {
    this.#request.destroy();
  }

  #take(text: string): void {
    const isEvents = this.headers['content-type'] === 'text/event-stream';
    this.#rest.push(text.replaceAll('\r\n', ''));
    if (!text.includes('\n')) return;
    const parts = this.#rest.join('').split(isEvents ? '\n\n' : '\n');
    this.#rest = [parts.pop() ?? ''];
    for (const part of parts) {
      const message: unknown = JSON.parse(isEvents ? part.replace(/^data: /, '') : part);
      if (!isJson(message)) throw new Error(`no object: ${part}`);
      this.received.push(message);
      if (Object.keys(message).length > 0) this.#messages.put(message);
    }
  }
}
