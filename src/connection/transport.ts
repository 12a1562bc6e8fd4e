// What a connection needs of the thing that carries its bytes: a WebSocket, a streaming response, a fake in tests.
import type { WireFormat } from '../protocol/wire-format.ts';
import type { CloseCause } from '../protocol/close-causes.ts';

export type TransportKind =
  'websocket' | 'http_stream' | 'sse' | 'uni_websocket' | 'uni_http_stream' | 'uni_sse';

export interface Transport {
  readonly kind: TransportKind;
  readonly format: WireFormat;
  /** Bytes accepted by `write` that the kernel has not taken yet. */
  readonly pendingBytes: number;
  /**
   * Takes complete frames of `format`. False when the peer reads too slowly: then nothing more should be written until
   * the owner's `onTransportDrain` is called.
   */
  write(frames: Buffer): boolean;
  /** Sends a protocol-level ping where the transport has one of its own (`cf_ws_frame_ping_pong`). */
  nativePing?(): void;
  /** Stops and restarts reading commands, as backpressure. */
  pauseReading(): void;
  resumeReading(): void;
  /** Tells the peer and ends; bounded in time even when the peer does not react. May be called twice. */
  close(cause: CloseCause): void;
  /** Ends at once, telling nobody. */
  destroy(): void;
}
