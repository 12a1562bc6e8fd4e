// The transports clients connect with.
import { flag, duration, integer, section, urlPath } from '../fields.ts';

const bodyLimit = integer('Bytes of a request body (HTTP 413).', 65_536, 1);

export const websocket = section('WebSocket, in both directions.', {
  disabled: flag('Switch it off.'),
  handler_prefix: urlPath('Path of the endpoint.', '/connection/websocket'),
  message_size_limit: integer('Bytes of one message from a client.', 65_536, 1),
  write_timeout: duration('How long a close may take until the socket is destroyed.', '1000ms', 1),
  compression: flag('Offer permessage-deflate. Costs memory and time for each connection.'),
  compression_level: integer('Level of zlib, from 1 (fast) to 9 (small).', 1, 1, 9),
  compression_min_size: integer('Messages with fewer bytes are not compressed.', 0),
  decompressed_message_size_limit: integer(
    'Bytes of one message on connections that compress, after decompression. 0: ten times `websocket.message_size_limit`.',
    0,
  ),
});

export const httpStream = section('HTTP streaming with `/emulation`, in both directions.', {
  enabled: flag('Switch it on.'),
  handler_prefix: urlPath('Path of the endpoint.', '/connection/http_stream'),
  max_request_body_size: bodyLimit,
});

export const sse = section('Server-sent events with `/emulation`, in both directions.', {
  enabled: flag('Switch it on.'),
  handler_prefix: urlPath('Path of the endpoint.', '/connection/sse'),
  max_request_body_size: bodyLimit,
});

export const emulation = section('Takes the commands of HTTP-streaming and SSE clients.', {
  handler_prefix: urlPath('Path of the endpoint.', '/emulation'),
  max_request_body_size: bodyLimit,
});

export const uniWebsocket = section('WebSocket, from server to client only.', {
  enabled: flag('Switch it on.'),
  handler_prefix: urlPath('Path of the endpoint.', '/connection/uni_websocket'),
  message_size_limit: integer('Bytes of the connect message.', 65_536, 1),
  join_push_messages: flag('Write several pushes into one message, a line each.'),
  disable_disconnect_push: flag('No disconnect push before the close frame.'),
  disable_closing_handshake: flag('End the TCP connection without a close frame.'),
});

export const uniHttpStream = section('HTTP streaming, from server to client only.', {
  enabled: flag('Switch it on.'),
  handler_prefix: urlPath('Path of the endpoint.', '/connection/uni_http_stream'),
  max_request_body_size: bodyLimit,
});

export const uniSse = section('Server-sent events, from server to client only.', {
  enabled: flag('Switch it on.'),
  handler_prefix: urlPath('Path of the endpoint.', '/connection/uni_sse'),
  max_request_body_size: bodyLimit,
});
