// Events that the application is told of afterwards.
import { z } from 'zod';
import { duration, flag, headers, httpUrl, integer, section, secret } from '../fields.ts';

const EVENTS = ['disconnect', 'unsubscribe', 'channel_occupied', 'channel_vacated'] as const;

export const webhooks = section('Events that the application is told of afterwards, in batches by HTTP.', {
  endpoint: httpUrl('Address that gets the events with POST. Empty: nobody is told.'),
  events: z
    .array(z.enum(EVENTS))
    .prefault([...EVENTS])
    .meta({ description: `Which events: ${EVENTS.map((event) => `\`${event}\``).join(', ')}.` }),
  secret: secret('Key of the signature in the header `X-Holdfast-Signature`. Empty: not signed.'),
  static_headers: headers('Headers added to every request.'),
  include_connection_meta: flag('Send the `meta` that the connection was given.'),
  timeout: duration('How long an answer may take.', '5s', 1),
  batch_max_size: integer('Events in one request.', 100, 1, 10_000),
  batch_max_delay: duration('How long an event may wait for others to come with it.', '100ms'),
  queue_max_size: integer(
    'Events that may wait on each worker; beyond it the oldest are dropped.',
    100_000,
    1,
  ),
  queue_max_bytes: integer('The same in bytes.', 33_554_432, 1_024),
  retry_min_delay: duration('Pause after the first failure; it doubles with each.', '500ms', 1),
  retry_max_delay: duration('Longest pause between two attempts.', '30s', 1),
  flush_timeout: duration('How long a worker that ends may go on telling what waits.', '5s'),
});
