// Decides what a stored publication is to a channel that has seen others before. Pure.
import type { StreamPosition } from '../../protocol/publication.ts';

export interface SeenStream {
  /** Of the last publication delivered, or of the history read with which following began; undefined: nothing is known. */
  readonly position: StreamPosition | undefined;
  /** When following began, publications up to this offset were on their way, perhaps. */
  readonly began: number;
  /** Publications up to this offset were read from the stream, and may still come by themselves. */
  readonly repaired: number;
}

/**
 * next: follows what was seen · renewed: of another epoch · gap: some before it are missing · repeat: was delivered ·
 * late: from before following began · back: the stream has gone back without a new epoch
 */
export type StreamStep = 'next' | 'renewed' | 'gap' | 'repeat' | 'late' | 'back';

export function streamStep(seen: SeenStream, offset: number, epoch: string): StreamStep {
  const { position, began, repaired } = seen;
  if (position === undefined) return 'next';
  if (position.epoch !== epoch) return 'renewed';
  if (offset > position.offset) return offset === position.offset + 1 ? 'next' : 'gap';
  if (offset <= repaired) return 'repeat';
  return offset <= began ? 'late' : 'back';
}
