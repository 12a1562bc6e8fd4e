// What engines answer to publishers.
import type { StreamPosition } from '../protocol/publication.ts';
import type { PublishResult } from './broker.ts';

export const NO_POSITION: StreamPosition = Object.freeze({ offset: 0, epoch: '' });
/** Of what is not stored and wants no acknowledgement. */
export const TAKEN: PublishResult = Object.freeze({ position: NO_POSITION, suppressed: false });
/** As numbers on the wire. */
export const SUPPRESSED = [false, 'idempotency', 'version'] as const;
