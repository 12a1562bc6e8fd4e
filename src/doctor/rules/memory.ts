// Rules about memory for the planned connections.
import { capacity, kilobytes, megabytes } from '../capacity.ts';
import { fault, fine, type Rule, rule } from '../finding.ts';

/** Beyond this share the page cache, other programs and a burst in outboxes have nothing left. */
const MOST_OF_MEMORY = 0.7;
/** What else lives in a worker's heap: code, channels, publications on their way. */
const MOST_OF_HEAP = 0.6;

const machineMemory = rule(
  'memory',
  ['memory', 'plan', 'config', 'figures'],
  ({ memory, plan, config, figures }) => {
    const bytesFor = (connections: number): number =>
      capacity({ connections, config, figures, withFront: false }).totalBytes;
    const totalBytes = bytesFor(plan.connections);
    const what =
      `${plan.connections} idle connections take ${megabytes(totalBytes)} of the ` +
      `${megabytes(memory.totalBytes)} of this machine`;
    const budgetBytes = memory.totalBytes * MOST_OF_MEMORY;
    if (totalBytes <= budgetBytes) return fine(what);
    const fixedBytes = bytesFor(0);
    const room = (budgetBytes - fixedBytes) / ((totalBytes - fixedBytes) / plan.connections);
    const change = `client.connection_limit: ${Math.max(1, Math.floor(room / 1_000)) * 1_000} in the Holdfast config, or another host`;
    return fault(totalBytes > memory.totalBytes ? 'critical' : 'warning', what, {
      why: 'the kernel ends processes when memory is gone, workers first',
      change,
    });
  },
);

const workerHeap = rule(
  'heap',
  ['heapLimitBytes', 'plan', 'config', 'figures'],
  ({ heapLimitBytes, plan, config, figures }) => {
    const { heapBytesPerWorker } = capacity({
      connections: plan.connections,
      config,
      figures,
      withFront: false,
    });
    const what =
      `${Math.ceil(plan.connections / config.workers)} connections a worker take at most ${megabytes(heapBytesPerWorker)} of its ` +
      `heap limit, ${megabytes(heapLimitBytes)}`;
    if (heapBytesPerWorker <= heapLimitBytes * MOST_OF_HEAP) return fine(what);
    const megabytesNeeded = Math.ceil(heapBytesPerWorker / MOST_OF_HEAP / 1_048_576);
    return fault(heapBytesPerWorker > heapLimitBytes ? 'critical' : 'warning', what, {
      why: 'a worker at its heap limit first spends its time collecting garbage, and then dies with all its connections',
      change: `Environment=NODE_OPTIONS=--max-old-space-size=${megabytesNeeded} under [Service] of the unit, or more workers`,
    });
  },
);

const outboxes = rule('outboxes', ['memory', 'plan', 'config'], ({ memory, plan, config }) => {
  const limit = config.client.queue_max_size;
  // One in a hundred clients reads nothing: a bad evening, not the end of the world.
  const stuck = Math.ceil(plan.connections / 100);
  const bytes = stuck * limit;
  const what = `if one client in a hundred stops reading, ${stuck} outboxes of ${kilobytes(limit)} take ${megabytes(bytes)}`;
  if (bytes <= memory.totalBytes * 0.25) return fine(what);
  const suggested = Math.max(65_536, 2 ** Math.floor(Math.log2((memory.totalBytes * 0.25) / stuck)));
  return fault('warning', what, {
    why: 'slow clients then cost more memory than all others together',
    change: `client.queue_max_size: ${suggested} in the Holdfast config`,
  });
});

const connectionLimit = rule('connection-limit', ['config'], ({ config }) => {
  const limit = config.client.connection_limit;
  if (limit > 0) return fine(`client.connection_limit is ${limit}`);
  return fault('warning', 'client.connection_limit is 0: no limit', {
    why:
      'a host that takes the clients of another one goes on until memory or descriptors end, instead of refusing with ' +
      '503 so that HAProxy tries elsewhere',
    change:
      'client.connection_limit in the Holdfast config: what `holdfast doctor --connections N` finds room for',
  });
});

const plannedLimit = rule('connections', ['config', 'plan'], ({ config, plan }) => {
  const limit = config.client.connection_limit;
  const what = `${plan.connections} connections are planned, client.connection_limit is ${limit}`;
  if (limit === 0 || limit >= plan.connections) return fine(what);
  return fault('critical', what, {
    why: 'further clients are refused with 503',
    change: `client.connection_limit: ${plan.connections} in the Holdfast config`,
  });
});

export const memoryRules: readonly Rule[] = [
  connectionLimit,
  plannedLimit,
  machineMemory,
  workerHeap,
  outboxes,
];
