// How encoded replies are laid on a transport. Few constants, so that a publication is encoded once per format in use.

export type Encoding = 'json' | 'protobuf';
export type Framing = 'websocket' | 'stream' | 'sse';

export interface DeflateSettings {
  /** Of zlib, 1 to 9. */
  readonly level: number;
  /** Messages with fewer bytes travel as they are. */
  readonly minBytes: number;
}

export interface WireFormat {
  /** Index into per-publication caches of encoded bytes. */
  readonly index: number;
  readonly encoding: Encoding;
  readonly framing: Framing;
  /** Bare pushes without the reply envelope (client protocol §21). */
  readonly unidirectional: boolean;
  /** Several messages may share one WebSocket message. */
  readonly joinsMessages: boolean;
  /** Messages are compressed (permessage-deflate without context takeover: the same bytes for every client). */
  readonly deflate: DeflateSettings | undefined;
}

function format(
  index: number,
  encoding: Encoding,
  framing: Framing,
  { unidirectional = false, joinsMessages = true } = {},
): WireFormat {
  return Object.freeze({ index, encoding, framing, unidirectional, joinsMessages, deflate: undefined });
}

const UNI = { unidirectional: true } as const;

export const WireFormats = {
  websocketJson: format(0, 'json', 'websocket'),
  websocketProtobuf: format(1, 'protobuf', 'websocket'),
  streamJson: format(2, 'json', 'stream'),
  streamProtobuf: format(3, 'protobuf', 'stream'),
  sse: format(4, 'json', 'sse'),
  uniWebsocket: format(5, 'json', 'websocket', { ...UNI, joinsMessages: false }),
  uniStream: format(6, 'json', 'stream', UNI),
  uniSse: format(7, 'json', 'sse', UNI),
  uniWebsocketJoined: format(8, 'json', 'websocket', UNI),
} as const;

const PLAIN_FORMATS = Object.keys(WireFormats).length;

/** The compressed variant of a WebSocket format. One setting for each process: the caches tell formats by their index. */
export function deflated(plain: WireFormat, deflate: DeflateSettings): WireFormat {
  return Object.freeze({ ...plain, index: PLAIN_FORMATS + plain.index, deflate });
}
