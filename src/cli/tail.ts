// One connection of `holdfast sub`: subscribes to a channel over WebSocket (JSON) and reports until it ends.
import type { IncomingHttpHeaders } from 'node:http';
import type { TcpSocketConnectOpts } from 'node:net';
import { type ClientOptions, WebSocket } from 'ws';
import { elementSpans, memberSpan } from '../protocol/json-span.ts';
import type { StreamPosition } from '../protocol/publication.ts';
import { type Fields, isFields } from '../util/fields.ts';

export interface TailTarget {
  readonly url: URL;
  readonly channel: string;
  readonly token: string | undefined;
  readonly subscriptionToken: string | undefined;
  /** From an earlier connection: what was missed since is asked for. */
  readonly since: StreamPosition | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Whom to trust, and where the host name leads. */
  readonly socket?: ClientOptions & Pick<TcpSocketConnectOpts, 'lookup'>;
  readonly version: string;
}

export interface TailListener {
  /** The headers of the 101. */
  onUpgrade?(headers: IncomingHttpHeaders): void;
  onSubscribed(result: SubscribeResult): void;
  onPublication(publication: TailPublication): void;
}

export interface SubscribeResult {
  readonly wasRecovering: boolean;
  readonly recovered: boolean;
  /** Undefined in channels without recovery. */
  readonly position: StreamPosition | undefined;
}

/** JSON texts as they came: parsed and printed again, large numbers would be others. */
export interface TailPublication {
  readonly whole: string;
  readonly data: string;
  readonly offset: number | undefined;
}

export type TailEnd =
  /** The signal asked for it. */
  | { readonly kind: 'stopped' }
  /** Nobody answered, or not as a gateway does. */
  | { readonly kind: 'unreachable'; readonly error: Error }
  /** A command was refused for good, or the close code says not to come back. */
  | { readonly kind: 'refused'; readonly message: string }
  /** May be tried again. */
  | { readonly kind: 'lost'; readonly message: string };

const CONNECT_ID = 1;
const SUBSCRIBE_ID = 2;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 1_000;
/** How much later than announced a ping may come. */
const PING_GRACE_MS = 10_000;

export async function tail(
  target: TailTarget,
  listener: TailListener,
  signal: AbortSignal,
): Promise<TailEnd> {
  return new Promise((resolve) => {
    const connection = new TailConnection(target, listener, (end) => {
      signal.removeEventListener('abort', stop);
      resolve(end);
    });
    const stop = (): void => connection.end({ kind: 'stopped' });
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
  });
}

class TailConnection {
  readonly #target: TailTarget;
  readonly #listener: TailListener;
  readonly #onEnd: (end: TailEnd) => void;
  readonly #socket: WebSocket;
  #end: TailEnd | undefined;
  #isOpen = false;
  #silence: NodeJS.Timeout | undefined;
  #maxSilenceMs = HANDSHAKE_TIMEOUT_MS;
  #answersPings = false;

  constructor(target: TailTarget, listener: TailListener, onEnd: (end: TailEnd) => void) {
    this.#target = target;
    this.#listener = listener;
    this.#onEnd = onEnd;
    this.#socket = new WebSocket(target.url, {
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      headers: target.headers,
      perMessageDeflate: false,
      ...target.socket,
    });
    this.#socket.on('upgrade', ({ headers }) => this.#listener.onUpgrade?.(headers));
    this.#socket.on('open', () => this.#onOpen());
    this.#socket.on('message', (data) => this.#onMessage(Buffer.isBuffer(data) ? data.toString() : ''));
    this.#socket.on('error', (error) => this.#onError(error));
    this.#socket.on('close', (code, reason) => this.#onClose(code, reason.toString()));
  }

  /** Closes and reports this end, unless another came first. */
  end(end: TailEnd): void {
    this.#end ??= end;
    if (this.#socket.readyState !== WebSocket.OPEN) {
      this.#socket.terminate();
      return;
    }
    this.#socket.close(1000);
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#socket.terminate(), CLOSE_TIMEOUT_MS);
  }

  #onOpen(): void {
    this.#isOpen = true;
    const { token, subscriptionToken, channel, since, version } = this.#target;
    const connect = { ...(token === undefined ? {} : { token }), name: 'holdfast-cli', version };
    const subscribe = {
      channel,
      ...(subscriptionToken === undefined ? {} : { token: subscriptionToken }),
      ...(since === undefined ? {} : { recover: true, epoch: since.epoch, offset: since.offset }),
    };
    this.#socket.send(
      `${JSON.stringify({ id: CONNECT_ID, connect })}\n${JSON.stringify({ id: SUBSCRIBE_ID, subscribe })}`,
    );
    this.#listen();
  }

  /** A connection over which nothing comes, not even pings, is dead. */
  #listen(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#end ??= { kind: 'lost', message: 'the gateway fell silent' };
      this.#socket.terminate();
    }, this.#maxSilenceMs);
  }

  #onMessage(frame: string): void {
    if (this.#end !== undefined) return;
    this.#listen();
    for (const line of frame.split('\n')) {
      if (line === '') continue;
      const reply = record(parse(line));
      if (reply === undefined) {
        this.end({ kind: 'refused', message: 'what answers does not speak the protocol of a gateway' });
        return;
      }
      this.#onReply(reply, line);
    }
  }

  #onReply(reply: Fields, line: string): void {
    const error = record(reply['error']);
    const push = record(reply['push']);
    if (error !== undefined) this.#onErrorReply(error);
    else if (push !== undefined) this.#onPush(push, line);
    else if (reply['id'] === CONNECT_ID) this.#onConnected(record(reply['connect']) ?? {});
    else if (reply['id'] === SUBSCRIBE_ID) this.#onSubscribed(record(reply['subscribe']) ?? {}, line);
    else if (this.#answersPings && reply['id'] === undefined) this.#socket.send('{}');
  }

  #onErrorReply(error: Fields): void {
    const message = `error ${text(error['code'])}: ${text(error['message'])}`;
    this.end({ kind: error['temporary'] === true ? 'lost' : 'refused', message });
  }

  #onConnected(result: Fields): void {
    this.#answersPings = result['pong'] === true;
    const pingSeconds = number(result['ping']);
    if (pingSeconds !== undefined && pingSeconds > 0)
      this.#maxSilenceMs = pingSeconds * 1_000 + PING_GRACE_MS;
    else this.#maxSilenceMs = 2 ** 31 - 1;
    this.#listen();
  }

  #onSubscribed(result: Fields, line: string): void {
    const isRecoverable = result['recoverable'] === true;
    this.#listener.onSubscribed({
      wasRecovering: this.#target.since !== undefined,
      recovered: result['recovered'] === true,
      position: isRecoverable
        ? { offset: number(result['offset']) ?? 0, epoch: text(result['epoch'] ?? '') }
        : undefined,
    });
    const recovered = memberSpan(line, ['subscribe', 'publications']) ?? '';
    for (const publication of elementSpans(recovered)) this.#onPublication(publication);
  }

  #onPush(push: Fields, line: string): void {
    const unsubscribe = record(push['unsubscribe']);
    const disconnect = record(push['disconnect']);
    const publication = memberSpan(line, ['push', 'pub']);
    if (publication !== undefined) this.#onPublication(publication);
    else if (unsubscribe !== undefined) {
      const code = number(unsubscribe['code']) ?? 0;
      const message = `unsubscribed (${code}): ${text(unsubscribe['reason'])}`;
      this.end({ kind: code >= 2500 ? 'lost' : 'refused', message });
    } else if (disconnect !== undefined) {
      this.end(endOf(number(disconnect['code']) ?? 0, text(disconnect['reason'])));
    }
  }

  #onPublication(whole: string): void {
    const data = memberSpan(whole, ['data']) ?? 'null';
    this.#listener.onPublication({ whole, data, offset: number(parse(memberSpan(whole, ['offset']) ?? '')) });
  }

  #onError(error: Error): void {
    this.#end ??= this.#isOpen ? { kind: 'lost', message: error.message } : { kind: 'unreachable', error };
  }

  #onClose(code: number, reason: string): void {
    clearTimeout(this.#silence);
    this.#end ??= endOf(code, reason);
    this.#onEnd(this.#end);
  }
}

function endOf(code: number, reason: string): TailEnd {
  const message = `closed (${code})${reason === '' ? '' : `: ${reason}`}`;
  return { kind: isTerminal(code) ? 'refused' : 'lost', message };
}

/** Codes after which an SDK does not come back (client protocol §8). */
function isTerminal(code: number): boolean {
  return (code >= 3500 && code < 4000) || (code >= 4500 && code < 5000);
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function record(value: unknown): Fields | undefined {
  return isFields(value) ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? '');
}
