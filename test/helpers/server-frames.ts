// Takes apart what a server writes to a WebSocket: unmasked frames, and the JSON messages in them.

export type Json = Readonly<Record<string, unknown>>;

export interface WrittenFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** The whole frames at the start of `bytes`, and what is left over. */
export function takeFrames(bytes: Buffer): {
  readonly frames: readonly WrittenFrame[];
  readonly rest: Buffer;
} {
  const frames: WrittenFrame[] = [];
  let rest = bytes;
  for (;;) {
    const short = (rest[1] ?? 0) & 0x7f;
    const start = short === 127 ? 10 : short === 126 ? 4 : 2;
    if (rest.length < start) return { frames, rest };
    const length =
      short === 127 ? Number(rest.readBigUInt64BE(2)) : short === 126 ? rest.readUInt16BE(2) : short;
    if (rest.length < start + length) return { frames, rest };
    frames.push({ opcode: (rest[0] ?? 0) & 0x0f, payload: rest.subarray(start, start + length) });
    rest = rest.subarray(start + length);
  }
}

export function jsonMessages(payload: Buffer): readonly Json[] {
  return payload
    .toString()
    .split('\n')
    .map((line) => {
      const message: unknown = JSON.parse(line);
      if (!isJson(message)) throw new Error(`no object: ${line}`);
      return message;
    });
}

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
