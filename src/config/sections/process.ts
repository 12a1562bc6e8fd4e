// The processes themselves: workers, engine, control socket, shutdown, log.
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { redis } from './redis.ts';
import { choice, duration, flag, integer, section, text } from '../fields.ts';

export const workers = z
  .int()
  .min(0)
  .max(1_024)
  .transform((count) => (count === 0 ? availableParallelism() : count))
  .prefault(0)
  .meta({ description: 'Worker processes. 0: one for each available core.' });

const memory = section('The embedded engine, with `engine.type: memory`.', {
  snapshot_file: text(
    'File in which history waits over a planned restart (SIGTERM, SIGINT, `holdfast drain --exit`). Empty: ' +
      '`history-<port>.snapshot` in the `$STATE_DIRECTORY` that systemd gives, or, without one, history ends with the process.',
  ),
  max_history_memory: integer(
    'Bytes that histories may take in the primary. Beyond it the channels without a publication for longest lose theirs, and ' +
      'whoever would recover from it is told so. 0: an eighth of the memory there is, by machine or control group, and at ' +
      'most half of the heap limit of Node.',
    0,
  ),
});

export const engine = section('Where publications, history and presence live.', {
  type: choice(
    '`memory`: in the primary process of this host. `redis`: in Redis, shared by all hosts.',
    ['memory', 'redis'],
    'memory',
  ),
  memory,
  redis,
});

export const outbox = section('What may wait for one connection, beside `client.queue_max_size`.', {
  max_messages: integer('Messages that may wait for one connection (close 3008).', 16_384, 16),
});

/** The kernel takes 107 bytes in the name of a UNIX socket. */
const MAX_SOCKET_PATH_BYTES = 107;

export const control = section('How the commands of this program reach a running gateway.', {
  socket: text(
    'Path of the control socket. Empty: `holdfast-<port>.sock` in a directory of this user under ' +
      '`$XDG_RUNTIME_DIR` or the temporary directory.',
  ).refine((path) => Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES, {
    error: `expected at most ${MAX_SOCKET_PATH_BYTES} bytes`,
  }),
});

export const agentCheck = section("HAProxy's agent check: the primary says how much room this host has.", {
  enabled: flag('Answer agent checks. `holdfast haproxy` then writes them into its servers.'),
  address: text('Address to answer on. Empty: all addresses.'),
  port: integer('Port to answer on. 0 takes a free one and prints it.', 8010, 0, 65_535),
  interval: duration(
    'How often HAProxy asks (`agent-inter`). A drain closes nobody before this time and a second are over.',
    '1s',
    100,
  ),
  ready_time: duration(
    'After the start the answers contain `ready`, which ends a drain that HAProxy remembers, an operator’s as well.',
    '10s',
  ),
  ramp: duration('Time over which the weight rises to its full height after the start.', '30s'),
});

const rebalance = section(
  'Moving connections between the workers of this host, so that all carry the same.',
  {
    enabled: flag(
      'Do it without being asked, whenever a worker is too far above the others. `holdfast rebalance` does it once, in any case.',
    ),
    interval: duration('Time between two looks, and at least so long nothing is moved again.', '30s', 1_000),
    window: duration(
      'Traffic and event-loop time count as their mean over this time: a shorter spike moves nothing.',
      '30s',
      5_000,
    ),
    threshold: integer('Percent above the mean from which on a worker is relieved.', 10, 1, 1_000),
    min_connections: integer('A difference in numbers smaller than this is left alone.', 10, 1),
    per_second: integer('Connections moved in a second, at most.', 200, 1, 10_000),
  },
);

export const handoff = section('How connections live on when workers are replaced (`holdfast reload`).', {
  enabled: flag(
    'Move live connections from the old worker to the new one. Off: they are closed over time, and clients come back.',
    true,
  ),
  reply_timeout: duration(
    'How long a reply that the application owes may hold up the move of its connection, at each attempt.',
    '2s',
    1,
  ),
  patience: duration('Without any progress for so long, what is left is closed instead of moved.', '10s', 1),
  rest_timeout: duration('Time over which a worker closes the connections that could not be moved.', '3s', 0),
  close_timeout: duration('The same for all its connections, when none can be moved.', '10s', 0),
  orphan_timeout: duration(
    'When the primary has died: time over which workers go on and close their connections, one after the other.',
    '20s',
    0,
  ),
  rebalance,
});

export const shutdown = section('How the gateway leaves.', {
  timeout: duration(
    'After SIGTERM or SIGINT: time in which clients are told and closed, at most. `holdfast drain` has no such limit.',
    '30s',
    1,
  ),
});

export const log = section('The log on standard output.', {
  level: choice(
    'Least severe level that is written.',
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'none'],
    'info',
  ),
});
