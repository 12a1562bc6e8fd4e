// The little of RFC 6455 that a load generator needs: masked text frames out, whole frames in from chunks cut anywhere.

const MASK = Buffer.from([0x5a, 0xc3, 0x1e, 0x77]);

export const Opcode = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** A client's frame. The mask is constant and not zero, so that the server does the usual work of unmasking. */
export function clientFrame(opcode: number, payload: Buffer): Buffer {
  const length = payload.length;
  if (length > 0xffff) throw new RangeError('the generator writes no frame above 64 kB');
  const headBytes = length < 126 ? 2 : 4;
  const frame = Buffer.allocUnsafe(headBytes + 4 + length);
  frame[0] = 0x80 | opcode;
  if (length < 126) frame[1] = 0x80 | length;
  else {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(length, 2);
  }
  MASK.copy(frame, headBytes);
  const start = headBytes + 4;
  for (let i = 0; i < length; i++) frame[start + i] = (payload[i] ?? 0) ^ (MASK[i & 3] ?? 0);
  return frame;
}

export function textFrame(text: string): Buffer {
  return clientFrame(Opcode.text, Buffer.from(text));
}

export interface FrameHandler {
  /** The payload is bytes[start, end), valid only during the call. */
  onFrame(opcode: number, bytes: Buffer, start: number, end: number): void;
  /** Masked, fragmented or oversize frames: nothing a server of the benchmark sends. */
  onMalformed(what: string): void;
}

const MAX_FRAME_BYTES = 1 << 20;

export class FrameReader {
  readonly #handler: FrameHandler;
  /** Beginning of a frame whose rest has not come yet. */
  #rest: Buffer | undefined;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** `chunk` may be reused by the caller afterwards. */
  push(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    let at = 0;
    while (at < bytes.length) {
      const end = this.#frame(bytes, at);
      if (end === undefined) return;
      if (end < 0) {
        this.#rest = Buffer.from(bytes.subarray(at));
        return;
      }
      at = end;
    }
  }

  /** Index behind the frame at `at`, -1 when it is not complete, undefined when it is malformed. */
  #frame(bytes: Buffer, at: number): number | undefined {
    const left = bytes.length - at;
    if (left < 2) return -1;
    const first = bytes[at] ?? 0;
    const second = bytes[at + 1] ?? 0;
    let length = second & 0x7f;
    let start = at + 2;
    if (length === 126) {
      if (left < 4) return -1;
      length = bytes.readUInt16BE(start);
      start += 2;
    } else if (length === 127) {
      if (left < 10) return -1;
      length = Number(bytes.readBigUInt64BE(start));
      start += 8;
    }
    if ((first & 0xf0) !== 0x80 || (second & 0x80) !== 0 || length > MAX_FRAME_BYTES) {
      this.#handler.onMalformed(`frame head ${first.toString(16)} ${second.toString(16)}`);
      return undefined;
    }
    const end = start + length;
    if (end > bytes.length) return -1;
    this.#handler.onFrame(first & 0x0f, bytes, start, end);
    return end;
  }
}
