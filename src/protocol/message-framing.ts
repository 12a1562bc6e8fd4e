// Lays encoded messages on a transport: several of them share one frame, and one frame is shared by all its receivers.
import { deflateMessage } from './message-deflate.ts';
import type { WireFormat } from './wire-format.ts';

const FIN_TEXT = 0x81;
const FIN_BINARY = 0x82;
/** Says that the message is compressed (RFC 7692 §6). */
const RSV1 = 0x40;
const NEWLINE = 0x0a;
const SSE_PREFIX = Buffer.from('data: ');
const SSE_SUFFIX = Buffer.from('\n\n');

/**
 * One frame out of encoded messages (replies, pushes): a WebSocket frame, lines of a stream, or events. Protobuf
 * messages bring their own length prefix.
 */
export function frameMessages(format: WireFormat, messages: readonly Buffer[]): Buffer {
  switch (format.framing) {
    case 'websocket':
      return format.joinsMessages || messages.length === 1
        ? webSocketMessage(format, messages)
        : Buffer.concat(messages.map((message) => webSocketMessage(format, [message])));
    case 'stream':
      return format.encoding === 'json'
        ? Buffer.concat(messages.flatMap((message) => [message, LINE_END]))
        : Buffer.concat(messages);
    case 'sse':
      return Buffer.concat(messages.flatMap((message) => [SSE_PREFIX, message, SSE_SUFFIX]));
  }
}

const LINE_END = Buffer.from([NEWLINE]);

function webSocketMessage(format: WireFormat, messages: readonly Buffer[]): Buffer {
  const isJson = format.encoding === 'json';
  const parts = isJson ? joinLines(messages) : messages;
  const firstByte = isJson ? FIN_TEXT : FIN_BINARY;
  const deflated = format.deflate && deflateMessage(Buffer.concat(parts), format.deflate);
  return deflated === undefined
    ? webSocketFrame(parts, firstByte)
    : webSocketFrame([deflated], firstByte | RSV1);
}

function joinLines(messages: readonly Buffer[]): readonly Buffer[] {
  if (messages.length < 2) return messages;
  return messages.flatMap((message, index) => (index === 0 ? [message] : [LINE_END, message]));
}

/** An unmasked, unfragmented server frame (RFC 6455 §5.2). */
function webSocketFrame(parts: readonly Buffer[], firstByte: number): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const headerLength = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(headerLength + length);
  frame[0] = firstByte;
  if (headerLength === 2) frame[1] = length;
  else if (headerLength === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  let at = headerLength;
  for (const part of parts) at += part.copy(frame, at);
  return frame;
}
