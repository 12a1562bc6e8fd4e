// Codes of the unsubscribe push (client protocol §13): below 2500 the SDK stays unsubscribed, from 2500 it resubscribes.

export const UnsubscribeCodes = {
  client: { code: 0, reason: 'client unsubscribed' },
  disconnect: { code: 1, reason: 'client disconnected' },
  server: { code: 2000, reason: 'server unsubscribe' },
  insufficientState: { code: 2500, reason: 'insufficient state' },
  expired: { code: 2501, reason: 'subscription expired' },
  stateInvalidated: { code: 2502, reason: 'state invalidated' },
} as const;

export interface UnsubscribeCode {
  readonly code: number;
  readonly reason: string;
}
