// The Protobuf side of the protocol.
import { decodeProtobufFrame } from './protobuf-decode.ts';
import { encodeProtobufError, encodeProtobufPush, encodeProtobufReply } from './protobuf-encode.ts';
import type { Codec } from './replies.ts';

export const protobufCodec: Codec<Buffer> = Object.freeze({
  decode: decodeProtobufFrame,
  reply: encodeProtobufReply,
  error: encodeProtobufError,
  push: encodeProtobufPush,
  ping: Buffer.from([0]),
});
