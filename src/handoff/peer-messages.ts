// What two workers say to each other about connections that move, through the primary and in order.

export type PeerMessage =
  /** Follow these channels: connections that are subscribed to them are about to come. */
  | { readonly kind: 'prepare'; readonly request: number; readonly channels: readonly string[] }
  | { readonly kind: 'prepared'; readonly request: number }
  | { readonly kind: 'unprepared'; readonly request: number; readonly reason: string }
  /** Everything published here before these moves has reached the engine. */
  | { readonly kind: 'settled'; readonly upTo: number }
  /** No more will come. */
  | { readonly kind: 'end' };

/** The other worker is of this version or was refused at its start: only the kind is looked at. */
export function isPeerMessage(body: unknown): body is PeerMessage {
  return (
    typeof body === 'object' &&
    body !== null &&
    'kind' in body &&
    typeof body.kind === 'string' &&
    ['prepare', 'prepared', 'unprepared', 'settled', 'end'].includes(body.kind)
  );
}
