// Answers that the primary gives itself, because a worker should not or can not: short, closing, bounded in time.
import type { Socket } from 'node:net';
import { thaw } from '../../util/native-handle.ts';

export interface Refusal {
  readonly status: 400 | 408 | 429 | 431 | 503;
  /** Plain words; also the metric label. */
  readonly reason: string;
  readonly retryAfterS?: number;
  /** Health and agent checks say the same: a load balancer will know it in a moment, and send nobody here. */
  readonly isKnownSoon?: boolean;
}

const STATUS_TEXTS: Readonly<Record<Refusal['status'], string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  503: 'Service Unavailable',
};

/** How long the peer may take to read the answer and close. */
const LINGER_MS = 1000;

export function encodeRefusal(refusal: Refusal): string {
  const body = `${refusal.reason}\n`;
  const retryAfter = refusal.retryAfterS === undefined ? '' : `Retry-After: ${refusal.retryAfterS}\r\n`;
  return (
    `HTTP/1.1 ${refusal.status} ${STATUS_TEXTS[refusal.status]}\r\nConnection: close\r\n${retryAfter}` +
    `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  );
}

/**
 * Answers and closes. What the peer still sends is read and dropped for a while: closing with unread bytes would reset
 * the connection and take the answer with it.
 */
export function refuse(socket: Socket, refusal: Refusal): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
  socket.once('end', () => socket.destroy());
  socket.end(encodeRefusal(refusal));
  thaw(socket);
  socket.resume();
}
