// Payloads of API requests: raw JSON cut out of the request's text, or bytes from the base64 twin of the field.
import { memberSpan, stripNewlines } from '../protocol/json-span.ts';
import type { ChannelOptions } from '../protocol/channel-options.ts';
import { ApiErrors, ApiFailure } from './api-errors.ts';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/u;

/** Bytes of member `name` of the JSON object `text`; `base64` is its twin and wins unless empty. */
export function payloadOf(text: string, name: string, base64: string): Buffer | undefined {
  if (base64 === '') {
    const span = memberSpan(text, [name]);
    return span === undefined ? undefined : Buffer.from(stripNewlines(span));
  }
  if (!BASE64.test(base64)) throw new ApiFailure(ApiErrors.badRequest, `b64${name}: not valid base64`);
  return Buffer.from(base64, 'base64');
}

/** What the namespace demands of data (`publication_data_format`). */
export function checkedData(
  data: Buffer | undefined,
  format: ChannelOptions['publicationDataFormat'],
): Buffer {
  if (format === 'binary') return data ?? Buffer.alloc(0);
  if (data === undefined || data.length === 0) {
    throw new ApiFailure(ApiErrors.badRequest, 'data: required');
  }
  if (format === '') return data;
  const value = parsedJson(data);
  if (value === undefined) throw new ApiFailure(ApiErrors.badRequest, 'data: this channel takes JSON only');
  if (format === 'json_object' && (typeof value !== 'object' || value === null || Array.isArray(value))) {
    throw new ApiFailure(ApiErrors.badRequest, 'data: this channel takes JSON objects only');
  }
  return data;
}

/** The members to print `payload` as: `"data":…` when it is JSON, else `"b64data":"…"`. */
export function payloadMember(name: string, payload: Buffer): string {
  return parsedJson(payload) === undefined
    ? `"b64${name}":"${payload.toString('base64')}"`
    : `"${name}":${payload.toString('utf8')}`;
}

/** Undefined when it is no JSON (JSON itself has no such value). */
function parsedJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
}
