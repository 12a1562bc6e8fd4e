// What decoders of the engines throw.
import { HoldfastError } from '../util/errors.ts';

/** The other side broke the rules of its encoding: the link is of no more use. */
export class WireError extends HoldfastError {
  constructor(message: string) {
    super('HOLDFAST_ENGINE_WIRE', message);
  }
}
