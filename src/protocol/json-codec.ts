// The JSON side of the protocol.
import { decodeJsonFrame } from './json-decode.ts';
import { encodeJsonError, encodeJsonPush, encodeJsonReply } from './json-encode.ts';
import type { Codec } from './replies.ts';

export const jsonCodec: Codec<string> = Object.freeze({
  decode: decodeJsonFrame,
  reply: encodeJsonReply,
  error: encodeJsonError,
  push: encodeJsonPush,
  ping: '{}',
});
