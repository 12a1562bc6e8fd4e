// The body of a POST that carries commands of an HTTP-streaming or SSE client (client protocol §10).
import { ProtobufFields } from './protobuf-fields.ts';
import { ProtocolError } from './protocol-error.ts';
import type { Encoding } from './wire-format.ts';

export interface EmulationRequest {
  /** Which process has the session. */
  readonly node: string;
  /** The secret of the session. */
  readonly session: string;
  /** Commands, as a frame of the session's encoding. */
  readonly data: Buffer;
}

/** Throws ProtocolError. */
export function decodeEmulationRequest(body: Buffer, encoding: Encoding): EmulationRequest {
  const request = encoding === 'json' ? decodeJson(body) : decodeProtobuf(body);
  if (request.session === '') throw new ProtocolError('session is missing');
  if (request.node === '') throw new ProtocolError('node is missing');
  return request;
}

function decodeJson(body: Buffer): EmulationRequest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch {
    throw new ProtocolError('request is no JSON');
  }
  if (typeof parsed !== 'object' || parsed === null) throw new ProtocolError('request is no object');
  const { node, session, data } = { node: '', session: '', data: '', ...parsed };
  if (typeof node !== 'string' || typeof session !== 'string' || typeof data !== 'string') {
    throw new ProtocolError('node, session and data must be strings');
  }
  return { node, session, data: Buffer.from(data) };
}

function decodeProtobuf(body: Buffer): EmulationRequest {
  let node = '';
  let session = '';
  let data: Buffer | undefined;
  try {
    const fields = new ProtobufFields(body);
    while (fields.next()) {
      if (fields.number === 1) node = fields.string();
      else if (fields.number === 2) session = fields.string();
      else if (fields.number === 3) data = fields.bytes();
    }
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    throw new ProtocolError('request is not valid Protobuf');
  }
  return { node, session, data: data ?? Buffer.alloc(0) };
}
