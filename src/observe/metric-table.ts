// The one table of metrics: names, help texts, labels, and how values of several workers become one of the host.
// docs/metrics.md lists the same; a test compares them.

export type MetricType = 'counter' | 'gauge' | 'histogram';

export interface MetricSpec {
  readonly type: MetricType;
  /** Without the prefix. */
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** `hot`: a field of HotCounters. `read`: asked for when the page is made. */
  readonly source: 'hot' | 'read';
  readonly aggregator: 'sum' | 'max';
  /** Upper bounds in seconds (histograms). */
  readonly buckets: readonly number[];
}

export const METRIC_PREFIX = 'holdfast_';

const LATENCY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] as const;

function counter<const L extends readonly string[]>(name: string, help: string, labels: L) {
  return { type: 'counter', source: 'hot', aggregator: 'sum', name, help, labels, buckets: [] } as const;
}

function readCounter<const L extends readonly string[]>(name: string, help: string, labels: L) {
  return { type: 'counter', source: 'read', aggregator: 'sum', name, help, labels, buckets: [] } as const;
}

function gauge<const L extends readonly string[]>(
  name: string,
  help: string,
  labels: L,
  aggregator: MetricSpec['aggregator'] = 'sum',
) {
  return { type: 'gauge', source: 'read', aggregator, name, help, labels, buckets: [] } as const;
}

function histogram<const L extends readonly string[]>(name: string, help: string, labels: L) {
  const buckets = LATENCY_BUCKETS;
  return { type: 'histogram', source: 'hot', aggregator: 'sum', name, help, labels, buckets } as const;
}

export const METRICS = {
  connections: gauge('connections', 'Open connections.', ['transport', 'protocol']),
  opened: counter('connections_opened_total', 'Connections accepted.', ['transport', 'protocol']),
  closed: counter('connections_closed_total', 'Connections ended, by the cause told to the client.', [
    'cause',
  ]),
  admissionRefusals: counter('admission_refusals_total', 'Connections refused before they began.', [
    'reason',
  ]),
  admissionAllowed: counter(
    'admission_allowed_total',
    'New connections that the primary let in: at_once, or waited for their turn.',
    ['how'],
  ),
  admissionWait: histogram(
    'admission_wait_seconds',
    'How long new connections that had to wait for their turn waited.',
    [],
  ),
  admissionQueued: gauge(
    'admission_queued',
    'New connections that wait for their turn: of clients that come back (returning), and others (new).',
    ['client'],
  ),
  admissionGaveUp: readCounter(
    'admission_gave_up_total',
    'Clients that hung up while they waited for their turn.',
    [],
  ),
  acceptRate: gauge(
    'accept_rate',
    'New connections a second that this host takes, as configured or as measured; no value before anything was measured.',
    [],
  ),
  verifications: counter(
    'token_verifications_total',
    'Tokens that had to be verified: at_once, waited for their turn, or refused because it would take too long.',
    ['how'],
  ),
  shed: counter(
    'shed_connections_total',
    'Connections closed because memory ran short, those that read least first.',
    [],
  ),
  overload: gauge(
    'worker_overload',
    'Whether a worker has too much to do: 0 no, 1 it takes nobody new, 2 it also closes connections that do not read.',
    ['worker'],
    'max',
  ),
  commands: counter(
    'commands_total',
    'Client commands by kind; result is ok, an error code or a close cause.',
    ['kind', 'result'],
  ),
  apiCalls: counter('api_calls_total', 'Server API calls; result is ok or an error code.', [
    'method',
    'result',
  ]),
  hookCalls: counter(
    'hook_calls_total',
    'Questions to the application (webhook or app module); result is yes, error, disconnect or what went wrong.',
    ['event', 'result'],
  ),
  hookSeconds: histogram('hook_seconds', 'Time until the application answered, or failed to.', ['event']),
  notices: counter(
    'notices_total',
    'Events that the application was told of; result is delivered or dropped.',
    ['result'],
  ),
  noticesQueued: gauge('notices_queued', 'Events that wait to be told to the application.', []),
  messagesIn: counter('messages_in_total', 'Messages received from clients.', []),
  messagesOut: counter('messages_out_total', 'Messages written to clients: replies, pushes and pings.', []),
  bytesIn: counter('bytes_in_total', 'Bytes of messages received from clients.', []),
  bytesOut: counter('bytes_out_total', 'Bytes of messages written to clients.', []),
  publicationsIn: counter(
    'publications_received_total',
    'Publications that reached a worker from the engine.',
    [],
  ),
  publicationsMissed: counter(
    'publications_missed_total',
    'Publications without history, joins and leaves that never reached a worker, noticed by the next of their publisher.',
    [],
  ),
  delivered: counter('publications_delivered_total', 'Publications written to subscribers.', []),
  dropped: counter('publications_dropped_total', 'Publications that a subscriber did not get.', ['reason']),
  deliveryLatency: histogram(
    'delivery_latency_seconds',
    'From the engine taking a publication to writing it to its last local subscriber.',
    [],
  ),
  recoveries: counter('recoveries_total', 'Subscribers that asked for missed publications.', ['result']),
  moves: counter(
    'handoff_connections_total',
    'Connections that were to go on at another worker: result is moved, returned (it stayed) or lost (some messages were).',
    ['result'],
  ),
  movePause: histogram(
    'handoff_pause_seconds',
    'From the moment a worker lets a connection go to the news that another one has it.',
    [],
  ),
  rebalances: counter(
    'rebalances_total',
    'Times that the workers of this host were evened out: by is command or automatic, result is done or failed.',
    ['by', 'result'],
  ),
  rebalanceMoves: counter('rebalance_connections_total', 'Connections moved to even out workers.', []),
  slowConsumers: counter(
    'slow_consumers_total',
    'Connections that stopped reading for longer than allowed.',
    [],
  ),
  outboxBytes: gauge('outbox_bytes', 'Bytes waiting for clients to read.', []),
  subscriptions: gauge('subscriptions', 'Subscriptions of connections to channels.', []),
  channels: gauge('channels', 'Channels with subscribers, counted in each worker that has some.', []),
  engineOperations: counter(
    'engine_operations_total',
    'Operations on the engine; result is ok, unavailable (refused, or no answer in time) or error.',
    ['op', 'result'],
  ),
  engineSeconds: histogram(
    'engine_operation_seconds',
    'Time that an operation on the engine took; probe and echo are messages to oneself.',
    ['op'],
  ),
  enginePending: gauge('engine_pending_calls', 'Calls that the engine owes an answer.', []),
  engineQueuedBytes: gauge('engine_queued_bytes', 'Bytes that wait for the engine.', []),
  engineHistoryBytes: gauge(
    'engine_history_bytes',
    'What histories take in the primary, about (embedded engine).',
    [],
  ),
  engineEvicted: readCounter(
    'engine_history_evicted_total',
    'Publications that went before their time, because histories took too much memory (embedded engine).',
    [],
  ),
  engineHeldBytes: gauge(
    'engine_held_bytes',
    'Bytes held back until what is missing before them has been read (Redis).',
    [],
  ),
  engineFailedCalls: readCounter(
    'engine_failed_calls_total',
    'Calls that were refused because too much waits, or given up without an answer.',
    [],
  ),
  engineLinks: gauge('engine_links', 'Workers whose connections to this server of the engine work.', [
    'server',
  ]),
  engineReconnects: readCounter(
    'engine_reconnects_total',
    'Connections to the engine that had to be made anew.',
    ['server'],
  ),
  engineProbeFailures: readCounter(
    'engine_probe_failures_total',
    'Times that a server delivered nothing and was connected to anew (Redis).',
    [],
  ),
  engineGaps: readCounter(
    'engine_gaps_total',
    'Channels with history in which publications did not come: found by offset, repaired from the stream (also after ' +
      'an outage), or told to subscribers (Redis).',
    ['outcome'],
  ),
  engineRepaired: readCounter(
    'engine_publications_repaired_total',
    'Publications read from the stream because they did not come by themselves (Redis).',
    [],
  ),
  engineUnsent: readCounter(
    'engine_messages_unsent_total',
    'Messages of channels without history that Redis did not take, because it went away at that moment.',
    [],
  ),
  engineLocal: readCounter(
    'engine_delivered_locally_total',
    'Messages that reached only subscribers of their own worker because Redis was away.',
    [],
  ),
  engineLeases: readCounter(
    'engine_lease_renewals_total',
    'Renewals of leases on presence; result is ok, failed or lost (Redis).',
    ['result'],
  ),
  engineSwept: readCounter(
    'engine_swept_workers_total',
    'Dead workers whose presence was removed (Redis).',
    [],
  ),
  workerConnections: gauge('worker_connections', 'Open connections of each worker.', ['worker']),
  workerLag: gauge(
    'worker_event_loop_lag_seconds',
    'How late the event loop was in the last 15 seconds: stat is p50, p99 or max.',
    ['worker', 'stat'],
    'max',
  ),
  workerBusy: readCounter(
    'worker_event_loop_busy_seconds_total',
    'Time in which the event loop was not idle.',
    ['worker'],
  ),
  workerCpu: readCounter('worker_cpu_seconds_total', 'CPU time: mode is user or system.', ['worker', 'mode']),
  workerResident: gauge('worker_resident_bytes', 'Resident memory.', ['worker']),
  workerHeap: gauge('worker_heap_used_bytes', 'JavaScript heap in use.', ['worker']),
  workerUptime: gauge('worker_uptime_seconds', 'Time since the process started.', ['worker'], 'max'),
  workerRestarts: counter('worker_restarts_total', 'Workers replaced by the primary.', ['reason']),
  workerLoad: gauge(
    'worker_load_ratio',
    'Load of a worker by connections, traffic and event-loop time; 1 is the mean of all. See `holdfast rebalance`.',
    ['worker'],
    'max',
  ),
  utilisation: gauge(
    'utilisation_ratio',
    'How full the host is, 0 to 1: of connections, cpu, event_loop, memory, outboxes, and host, the worst of them.',
    ['of'],
    'max',
  ),
  connectionLimit: gauge(
    'connection_limit',
    'Connections that the host may have, by configuration or by descriptors.',
    [],
  ),
  acceptHeadroom: gauge(
    'accept_headroom',
    'Connections that the host would still take now; 0 while it drains.',
    [],
  ),
  drainConnections: gauge(
    'drain_connections',
    'Of the drain that is under way or over: connections by state, closed or remaining.',
    ['of'],
  ),
  reconnectWindow: gauge(
    'reconnect_window_seconds',
    'Time in which the clients of this host could come back elsewhere: clients ÷ connections a second that the others take.',
    [],
  ),
  buildInfo: gauge('build_info', 'Always 1; the version that runs.', ['version', 'node'], 'max'),
} as const satisfies Record<string, MetricSpec>;

export type MetricKey = keyof typeof METRICS;

type KeysWhere<Shape> = { [K in MetricKey]: (typeof METRICS)[K] extends Shape ? K : never }[MetricKey];

export type ReadKey = KeysWhere<{ readonly source: 'read' }>;
export type PlainCounterKey = KeysWhere<{ readonly type: 'counter'; source: 'hot'; labels: readonly [] }>;
export type LabelledCounterKey = Exclude<
  KeysWhere<{ readonly type: 'counter'; source: 'hot' }>,
  PlainCounterKey
>;
export type PlainHistogramKey = KeysWhere<{ readonly type: 'histogram'; labels: readonly [] }>;
export type LabelledHistogramKey = Exclude<KeysWhere<{ readonly type: 'histogram' }>, PlainHistogramKey>;
