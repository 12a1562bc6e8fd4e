// Content types that choose an encoding (client protocol §10).
import type { Encoding } from '../protocol/wire-format.ts';

export function encodingOf(contentType: string | undefined): Encoding {
  return contentType?.toLowerCase().startsWith('application/octet-stream') === true ? 'protobuf' : 'json';
}
