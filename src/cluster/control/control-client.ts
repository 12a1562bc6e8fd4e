// Asks a running gateway through its control socket.
import { connect, type Socket } from 'node:net';
import { hasCode, HoldfastError, messageOf, UnavailableError } from '../../util/errors.ts';
import { JsonLines, jsonLine } from './json-lines.ts';

const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** What is answered without progress is answered at once, unless the gateway hangs. */
const ANSWER_TIMEOUT_MS = 5000;

/** Nobody serves this socket, or does so no longer: unlike a gateway that is there and does not answer. */
export class NoGatewayError extends UnavailableError {}

interface Pending {
  readonly onProgress: ((value: unknown) => void) | undefined;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

/** Fails with NoGatewayError when no gateway serves this path, with UnavailableError when it cannot be asked. */
export async function connectControl(
  path: string,
  answerTimeoutMs = ANSWER_TIMEOUT_MS,
): Promise<ControlClient> {
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (cause) => {
      const isNobody = hasCode(cause, 'ENOENT') || hasCode(cause, 'ECONNREFUSED');
      reject(
        isNobody
          ? new NoGatewayError(`no gateway answers at ${path}: is it running, as this user?`, { cause })
          : new UnavailableError(`the gateway at ${path} cannot be asked: ${messageOf(cause)}`, { cause }),
      );
    });
  });
  return new ControlClient(socket, answerTimeoutMs);
}

export class ControlClient {
  readonly #socket: Socket;
  readonly #lines = new JsonLines(MAX_ANSWER_BYTES);
  readonly #pending = new Map<number, Pending>();
  readonly #answerTimeoutMs: number;
  #nextId = 1;

  constructor(socket: Socket, answerTimeoutMs: number) {
    this.#socket = socket;
    this.#answerTimeoutMs = answerTimeoutMs;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#onData(text));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#fail(new NoGatewayError('the gateway closed the control connection')));
  }

  /**
   * Resolves to the result; rejects with the gateway's error, code and message. What reports progress may take as long as it
   * likes; anything else that is not answered in time rejects with UnavailableError.
   */
  request(method: string, params: unknown = null, onProgress?: (value: unknown) => void): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (!this.#socket.writable) {
        reject(new NoGatewayError('the control connection is closed'));
        return;
      }
      const timer =
        onProgress === undefined
          ? setTimeout(() => this.#giveUp(id, method), this.#answerTimeoutMs)
          : undefined;
      this.#pending.set(id, { onProgress, resolve, reject, timer });
      this.#socket.write(jsonLine({ id, method, params }));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #onData(text: string): void {
    try {
      for (const answer of this.#lines.take(text)) this.#take(answer);
    } catch (cause) {
      this.#fail(new UnavailableError('the gateway sent what is no answer', { cause }));
      this.#socket.destroy();
    }
  }

  #take(answer: unknown): void {
    if (typeof answer !== 'object' || answer === null || !('id' in answer)) return;
    const pending = typeof answer.id === 'number' ? this.#pending.get(answer.id) : undefined;
    if (pending === undefined || typeof answer.id !== 'number') return;
    if ('progress' in answer) {
      pending.onProgress?.(answer.progress);
      return;
    }
    this.#pending.delete(answer.id);
    clearTimeout(pending.timer);
    if ('error' in answer) pending.reject(errorFrom(answer.error));
    else pending.resolve('result' in answer ? answer.result : null);
  }

  #giveUp(id: number, method: string): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    const seconds = this.#answerTimeoutMs / 1000;
    pending?.reject(new UnavailableError(`the gateway does not answer (${method}, ${seconds} s)`));
  }

  #fail(error: Error): void {
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#pending.clear();
  }
}

function errorFrom(error: unknown): Error {
  if (typeof error !== 'object' || error === null || !('code' in error) || !('message' in error)) {
    return new UnavailableError('the gateway failed without a reason');
  }
  return new HoldfastError(String(error.code), String(error.message));
}
