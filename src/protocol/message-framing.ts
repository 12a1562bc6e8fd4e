// Lays encoded messages on a transport: several of them share one frame, and one frame is shared by all its receivers.
import { deflateMessage } from './message-deflate.ts';
import type { Message } from './replies.ts';
import type { WireFormat } from './wire-format.ts';

const FIN_TEXT = 0x81;
const FIN_BINARY = 0x82;
/** Says that the message is compressed (RFC 7692 §6). */
const RSV1 = 0x40;

/**
 * One frame out of encoded messages (replies, pushes), at least one: a WebSocket frame, lines of a stream, or events.
 * Protobuf messages bring their own length prefix.
 */
export function frameMessages(format: WireFormat, messages: readonly Message[]): Buffer {
  const [first] = messages;
  if (first !== undefined && messages.length === 1) return frameMessage(format, first);
  if (format.framing === 'websocket' && format.joinsMessages)
    return frameMessage(format, join(format, messages));
  return Buffer.concat(messages.map((message) => frameMessage(format, message)));
}

export function frameMessage(format: WireFormat, message: Message): Buffer {
  switch (format.framing) {
    case 'websocket':
      return webSocketMessage(format, message);
    case 'stream':
      return format.encoding === 'json' ? Buffer.from(`${message.toString()}\n`) : bytesOf(message);
    case 'sse':
      return Buffer.from(`data: ${message.toString()}\n\n`);
  }
}

function join(format: WireFormat, messages: readonly Message[]): Message {
  return format.encoding === 'json' ? messages.join('\n') : Buffer.concat(messages.map(bytesOf));
}

function bytesOf(message: Message): Buffer {
  return typeof message === 'string' ? Buffer.from(message) : message;
}

function webSocketMessage(format: WireFormat, message: Message): Buffer {
  const firstByte = format.encoding === 'json' ? FIN_TEXT : FIN_BINARY;
  const deflated = format.deflate && deflateMessage(bytesOf(message), format.deflate);
  return deflated === undefined
    ? webSocketFrame(message, firstByte)
    : webSocketFrame(deflated, firstByte | RSV1);
}

/** An unmasked, unfragmented server frame (RFC 6455 §5.2). Text is written where it goes: no copy of it is made before. */
function webSocketFrame(payload: Message, firstByte: number): Buffer {
  const length = Buffer.byteLength(payload);
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
  if (typeof payload === 'string') frame.write(payload, headerLength);
  else payload.copy(frame, headerLength);
  return frame;
}
