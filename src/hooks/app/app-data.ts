// Payloads as handlers know them. Part of what applications import: no types of Node in here.
import { stripNewlines } from '../../protocol/json-span.ts';

/** What may be sent: any value that JSON can hold, `rawJson(text)` for JSON that must not be printed anew, or bytes. */
// oxlint-disable-next-line typescript/no-redundant-type-constituents -- the names are for those who read the docs
export type Data = unknown;

/** JSON text that goes out as it is written. */
export class RawJson {
  readonly text: string;

  constructor(text: string) {
    JSON.parse(text);
    this.text = stripNewlines(text);
  }
}

/** JSON text as a payload: numbers beyond 2^53 and the order of keys stay as they are. Throws when it is no JSON. */
export function rawJson(text: string): RawJson {
  return new RawJson(text);
}

/** A payload that came from a client, in the three forms in which it may be wanted. */
export interface Received {
  /** Parsed JSON; undefined when there is none. */
  readonly data: unknown;
  /** The JSON exactly as the client wrote it; undefined when there is none. */
  readonly text: string | undefined;
  /** The bytes, whatever they are; undefined when the client sent no payload. */
  readonly bytes: Uint8Array | undefined;
}
