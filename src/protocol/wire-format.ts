// How encoded replies are laid on a transport. Few constants, so that a publication is encoded once per format in use.

export type Encoding = 'json' | 'protobuf';
export type Framing = 'websocket' | 'stream' | 'sse';

export interface WireFormat {
  /** Index into per-publication caches of encoded bytes. */
  readonly index: number;
  readonly encoding: Encoding;
  readonly framing: Framing;
  /** Bare pushes without the reply envelope (client protocol §21). */
  readonly unidirectional: boolean;
}

const format = (index: number, encoding: Encoding, framing: Framing, unidirectional = false): WireFormat =>
  Object.freeze({ index, encoding, framing, unidirectional });

export const WireFormats = {
  websocketJson: format(0, 'json', 'websocket'),
  websocketProtobuf: format(1, 'protobuf', 'websocket'),
  streamJson: format(2, 'json', 'stream'),
  streamProtobuf: format(3, 'protobuf', 'stream'),
  sse: format(4, 'json', 'sse'),
  uniWebsocket: format(5, 'json', 'websocket', true),
  uniStream: format(6, 'json', 'stream', true),
  uniSse: format(7, 'json', 'sse', true),
} as const;
