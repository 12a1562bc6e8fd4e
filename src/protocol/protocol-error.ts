// What a peer did against the protocol: ends its connection with a documented cause.
import { HoldfastError } from '../util/errors.ts';
import { type CloseCause, CloseCauses } from './close-causes.ts';

export class ProtocolError extends HoldfastError {
  readonly close: CloseCause;
  constructor(message: string, close: CloseCause = CloseCauses.badRequest) {
    super('HOLDFAST_PROTOCOL', message);
    this.close = close;
  }
}
