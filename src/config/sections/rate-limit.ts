// How much a client may ask for in a time. Off unless it is said.
import { z } from 'zod';
import { duration, integer, section } from '../fields.ts';

/** Kinds of commands that can be limited: all but those that come once. */
export const LIMITED_COMMANDS = [
  'subscribe',
  'unsubscribe',
  'publish',
  'presence',
  'presence_stats',
  'history',
  'send',
  'rpc',
  'refresh',
  'sub_refresh',
] as const;

const commandRates = (about: string) =>
  z
    .array(
      z.strictObject({
        command: z
          .enum(['default', ...LIMITED_COMMANDS])
          .meta({ description: 'Kind of command; `default` is each kind without an entry of its own.' }),
        rate: z.int().min(1).meta({ description: 'Commands in each interval.' }),
        interval: duration('The interval.', '1s', 1),
        burst: integer('Commands that may come at once after a pause. 0: as many as `rate`.', 0),
      }),
    )
    .prefault([])
    .meta({ description: about });

export type CommandRateRules = z.output<ReturnType<typeof commandRates>>;

export const rateLimit = section('How much a client may ask for in a time.', {
  connection: commandRates(
    'Commands of one connection, such as `{command: publish, rate: 10}`. What comes on top gets error 111. ' +
      'Kinds have separate budgets, also under `default`.',
  ),
  user: commandRates('The same for all connections of a user together, on each worker.'),
  max_refusals: integer(
    'Refused commands of one connection within a minute; beyond them it is closed (close 3509). 0: never.',
    600,
  ),
  bytes_per_second: integer(
    'Bytes a second that one connection may send; beyond them it is read more slowly. 0: no limit.',
    0,
  ),
});
