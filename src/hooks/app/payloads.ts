// Payloads between the wire, where they are bytes, and handlers, which want values.
import { type Data, RawJson, type Received } from './app-data.ts';

export function received(payload: Buffer | undefined): Received {
  if (payload === undefined || payload.length === 0) return NOTHING;
  const text = payload.toString('utf8');
  try {
    return { data: JSON.parse(text), text, bytes: payload };
  } catch {
    return { data: undefined, text: undefined, bytes: payload };
  }
}

export function parsedJson(payload: Buffer | undefined): unknown {
  return received(payload).data;
}

/** Undefined for what JSON has no form for. Throws TypeError for what it cannot print (BigInt, circles). */
export function payloadFrom(data: Data): Buffer | undefined {
  if (data === undefined) return undefined;
  if (data instanceof Uint8Array) return Buffer.from(data);
  if (data instanceof RawJson) return Buffer.from(data.text);
  const text: string | undefined = JSON.stringify(data);
  return text === undefined ? undefined : Buffer.from(text);
}

const NOTHING: Received = Object.freeze({ data: undefined, text: undefined, bytes: undefined });
