// One address of the application over HTTP: a pool of kept-alive connections, and calls bounded in time, size and number.
// Redirects are not followed: they are statuses like others.
import {
  Agent as HttpAgent,
  type ClientRequest,
  type IncomingMessage,
  request as httpRequest,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { messageOf } from '../util/errors.ts';
import { CallError } from './call-error.ts';

export interface HttpEndpointOptions {
  /** http or https; a user and password in it become an Authorization header. */
  readonly url: string;
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
  /** Connections to this endpoint. */
  readonly maxConnections: number;
  /** Calls begun and not ended, those that wait for a connection included. */
  readonly maxCalls: number;
}

export interface HttpAnswer {
  readonly status: number;
  /** Empty unless the status is 200. */
  readonly text: string;
}

/** A connection that nobody used for so long is closed. */
const IDLE_MS = 30_000;
/** The rest of an answer that nobody reads is taken in up to here, to keep the connection. */
const MAX_IGNORED_BYTES = 16_384;

export class HttpEndpoint {
  /** Address for people: without user, password and query, which may hold secrets. */
  readonly label: string;
  readonly #url: URL;
  readonly #options: HttpEndpointOptions;
  readonly #agent: HttpAgent;
  readonly #request: typeof httpRequest;
  #calls = 0;
  #isClosed = false;

  constructor(options: HttpEndpointOptions) {
    this.#options = options;
    this.#url = new URL(options.url);
    this.label = `${this.#url.origin}${this.#url.pathname}`;
    const isSecure = this.#url.protocol === 'https:';
    const Agent = isSecure ? HttpsAgent : HttpAgent;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.maxConnections, timeout: IDLE_MS });
    this.#request = isSecure ? httpsRequest : httpRequest;
  }

  /** Rejects with CallError. Any status is an answer. */
  async post(body: string, headers: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    const { maxCalls, timeoutMs } = this.#options;
    if (this.#isClosed) throw new CallError('closed', 'this worker is ending');
    if (this.#calls >= maxCalls) throw new CallError('overload', `${maxCalls} calls are waiting already`);
    const call = new Call();
    const timer = setTimeout(() => {
      call.end(new CallError('timeout', `did not answer within ${timeoutMs} ms`));
    }, timeoutMs);
    this.#calls += 1;
    try {
      return await this.#exchange(call, body, headers);
    } catch (error) {
      if (!call.isStale(error)) throw this.#asCallError(error);
      return await this.#exchange(call, body, headers).catch((again: unknown) => {
        throw this.#asCallError(again);
      });
    } finally {
      clearTimeout(timer);
      this.#calls -= 1;
    }
  }

  /** Ends calls that are under way. Harmless when repeated. */
  close(): void {
    this.#isClosed = true;
    this.#agent.destroy();
  }

  #exchange(call: Call, body: string, headers: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const request = this.#request(this.#url, {
        method: 'POST',
        agent: this.#agent,
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      });
      request.on('error', reject);
      request.on('response', (response) => {
        call.hasAnswer = true;
        receive(response, this.#options.maxAnswerBytes).then(resolve, reject);
      });
      call.begin(request);
      request.end(body);
    });
  }

  #asCallError(error: unknown): CallError {
    if (error instanceof CallError) return error;
    if (this.#isClosed) return new CallError('closed', 'this worker is ending');
    const reason = messageOf(error);
    return new CallError('network', `could not be reached: ${reason}`, { cause: error });
  }
}

/** One call, which may take a second request when the first one met a connection that had just been closed. */
class Call {
  hasAnswer = false;
  #request: ClientRequest | undefined;
  #ended: CallError | undefined;

  begin(request: ClientRequest): void {
    this.#request = request;
    if (this.#ended !== undefined) request.destroy(this.#ended);
  }

  end(error: CallError): void {
    this.#ended = error;
    this.#request?.destroy(error);
  }

  /** The application closed a kept-alive connection while the request was on its way: it has not been read. */
  isStale(error: unknown): boolean {
    return (
      this.#ended === undefined &&
      !this.hasAnswer &&
      this.#request?.reusedSocket === true &&
      error instanceof Error &&
      'code' in error &&
      (error.code === 'ECONNRESET' || error.code === 'EPIPE')
    );
  }
}

async function receive(response: IncomingMessage, maxBytes: number): Promise<HttpAnswer> {
  const status = response.statusCode ?? 0;
  // Without a listener an answer that breaks off later would end the process.
  response.on('error', () => undefined);
  const announcedBytes = Number(response.headers['content-length'] ?? NaN);
  if (status !== 200) {
    if (announcedBytes <= MAX_IGNORED_BYTES) response.resume();
    else response.destroy();
    return { status, text: '' };
  }
  const tooLarge = new CallError('too_large', `answered with more than ${maxBytes} bytes`, { status });
  if (announcedBytes > maxBytes) {
    response.destroy();
    throw tooLarge;
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Leaving the loop early destroys the response.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge;
    chunks.push(chunk);
  }
  return { status, text: Buffer.concat(chunks).toString('utf8') };
}
