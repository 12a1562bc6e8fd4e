// Asks a running gateway through its control socket.
import { connect, type Socket } from 'node:net';
import { HoldfastError, UnavailableError } from '../util/errors.ts';
import { JsonLines, jsonLine } from './json-lines.ts';

const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

interface Pending {
  readonly onProgress: ((value: unknown) => void) | undefined;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Fails with UnavailableError when no gateway serves this path. */
export async function connectControl(path: string): Promise<ControlClient> {
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (cause) => {
      reject(new UnavailableError(`no gateway answers at ${path}: is it running, as this user?`, { cause }));
    });
  });
  return new ControlClient(socket);
}

export class ControlClient {
  readonly #socket: Socket;
  readonly #lines = new JsonLines(MAX_ANSWER_BYTES);
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#onData(text));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#fail(new UnavailableError('the gateway closed the control connection')));
  }

  /** Resolves to the result; rejects with the gateway's error, code and message. */
  request(method: string, params: unknown = null, onProgress?: (value: unknown) => void): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (!this.#socket.writable) {
        reject(new UnavailableError('the control connection is closed'));
        return;
      }
      this.#pending.set(id, { onProgress, resolve, reject });
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
    if ('error' in answer) pending.reject(errorFrom(answer.error));
    else pending.resolve('result' in answer ? answer.result : null);
  }

  #fail(error: Error): void {
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

function errorFrom(error: unknown): Error {
  if (typeof error !== 'object' || error === null || !('code' in error) || !('message' in error)) {
    return new UnavailableError('the gateway failed without a reason');
  }
  return new HoldfastError(String(error.code), String(error.message));
}
