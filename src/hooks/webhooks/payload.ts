// Payloads of answers as bytes on one line: line breaks would end a message on the wire (client protocol §3.1).
import { stripNewlines } from '../../protocol/json-span.ts';

/** `base64` is the twin of the field and wins unless empty. Otherwise the JSON text as it was written. */
export function payloadOf(
  spans: ReadonlyMap<string, string>,
  name: string,
  base64: string | null | undefined,
  { nullIsValue = false } = {},
): Buffer | undefined {
  if (base64) return onOneLine(Buffer.from(base64, 'base64'));
  const text = spans.get(name);
  if (text === undefined || (text === 'null' && !nullIsValue)) return undefined;
  return Buffer.from(stripNewlines(text));
}

/** Only JSON can be written on one line; other bytes stay as they are. */
function onOneLine(bytes: Buffer): Buffer {
  if (!bytes.includes(0x0a) && !bytes.includes(0x0d)) return bytes;
  const text = bytes.toString('utf8');
  try {
    JSON.parse(text);
  } catch {
    return bytes;
  }
  return Buffer.from(stripNewlines(text));
}
