// What a connection may do, and for how long.
import { z } from 'zod';
import { duration, flag, integer, section, text, texts } from '../fields.ts';
import { clientProxy } from './proxy.ts';
import { rateLimit } from './rate-limit.ts';
import { subscriptionToken, token } from './token.ts';

const personalChannel = section('Subscribe every user to a channel of their own, by the server.', {
  enabled: flag('Switch it on.'),
  personal_channel_namespace: text('Namespace of the personal channels. Empty: none.'),
  single_connection: flag(
    'A new connection of a user closes the ones before it. Needs `presence` in that namespace.',
  ),
});

const codeMap = section('How an error of the connect command ends a unidirectional connection.', {
  enabled: flag('Use the map below instead of the standard one.'),
  transforms: z
    .array(
      z.strictObject({
        code: z.int().min(100).max(1999).meta({ description: 'Code of the error.' }),
        to: z
          .strictObject({
            code: z.int().min(3000).max(4999).meta({ description: 'Close code.' }),
            reason: z.string().meta({ description: 'Close reason.' }),
          })
          .meta({ description: 'The close that the client gets.' }),
      }),
    )
    .prefault([])
    .meta({ description: 'From an error code to a close code and reason.' }),
});

export const client = section('Connections: who may connect, limits and times.', {
  allowed_origins: texts(
    'Patterns of `Origin` headers that may connect, such as `https://*.example.com`; `*` allows all. ' +
      'Empty: every request from a browser is refused. Requests without an `Origin` are not concerned.',
  ),
  token,
  subscription_token: subscriptionToken,
  proxy: clientProxy,
  allow_anonymous_connect_without_token: flag('A client without a token may connect, with an empty user id.'),
  disallow_anonymous_connection_tokens: flag('Refuse connection tokens with an empty user id.'),
  insecure: flag('Development only: no tokens needed, everything is allowed.'),
  insecure_skip_token_signature_verify: flag('Believe tokens without a check of their signature.'),
  user_id_http_header: text(
    'Header that holds the user id, when a proxy in front has authenticated the request. Empty: none.',
  ),
  token_cookie: text(
    'Cookie that holds the connection token of clients that send none in the connect command nor, for the same purpose, ' +
      'in an `Authorization: Bearer` header or the query parameter `token`. Empty: none.',
  ),
  subscribe_to_user_personal_channel: personalChannel,
  ping_interval: duration('How often the server pings a client.', '25s', 1_000),
  pong_timeout: duration('How long a pong may take (close 3012). Less than the ping interval.', '8s', 100),
  stale_close_delay: duration('Time for the first command (close 3502).', '10s', 100),
  expired_close_delay: duration('Grace after the end of a token (close 3005).', '25s'),
  expired_sub_close_delay: duration('Grace after the end of a subscription token (unsubscribe 2501).', '25s'),
  channel_limit: integer('Subscriptions of one connection (error 106, close 3505).', 128, 1),
  queue_max_size: integer('Bytes that may wait for one connection (close 3008).', 1_048_576, 1_024),
  concurrency: integer('Commands of one connection handled at a time. 0: one after the other.', 0, 0, 1_024),
  connection_limit: integer('Connections of this host (HTTP 503). 0: no limit.', 0),
  user_connection_limit: integer(
    'Connections of one user over all workers and hosts (close 3504). 0: no limit.',
    0,
  ),
  user_channel_limit: integer(
    'Client-side subscriptions of one user over all its connections (error 106). 0: no limit.',
    0,
  ),
  rate_limit: rateLimit,
  connection_rate_limit: integer('New connections a second on this host (HTTP 503). 0: no limit.', 0),
  presence_update_interval: duration('How often a presence entry is renewed.', '27s', 1_000),
  channel_position_check_delay: duration(
    'How often the position of a positioned subscription is compared with the engine.',
    '40s',
    1_000,
  ),
  channel_position_max_time_lag: duration(
    'Publications that arrive later than this count as lost positions. 0s: off.',
    '0s',
  ),
  history_max_publication_limit: integer('Publications in one history reply to a client.', 300, 1),
  recovery_max_publication_limit: integer('Publications recovered in one subscribe reply.', 300, 1),
  connect_include_server_time: flag('Tell clients the time of the server when they connect.'),
  connect_code_to_unidirectional_disconnect: codeMap,
});
