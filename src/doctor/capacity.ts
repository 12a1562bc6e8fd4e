// The arithmetic of a number of connections: what they take, from figures measured on this machine.
import type { Config } from '../config/schema.ts';
import type { MemoryFigures } from './facts.ts';

/** Kernel memory of one end of an idle TCP connection (socket, inode, file), without buffers: sizes of its objects. */
const SOCKET_BYTES = 3_800;
/** HAProxy 2.6 with TLS 1.3 over HTTP/1.1, of its own memory: see docs/operations.md. */
const HAPROXY_TLS_BYTES = 18_400;

export interface CapacityLine {
  readonly what: string;
  /** As a person would write it down. */
  readonly sum: string;
  readonly bytes: number;
}

export interface Capacity {
  readonly connections: number;
  readonly workers: number;
  readonly figures: MemoryFigures;
  readonly lines: readonly CapacityLine[];
  readonly totalBytes: number;
  /** An upper bound: all that connections take, as if it were JavaScript heap, which has a limit of its own. */
  readonly heapBytesPerWorker: number;
  /** Time in which all can come back at the rate that is admitted; undefined without a limit. */
  readonly reconnectSeconds: number | undefined;
}

export interface CapacityQuestion {
  readonly connections: number;
  readonly config: Config;
  readonly figures: MemoryFigures;
  /** HAProxy runs on this machine too. */
  readonly withFront: boolean;
}

export function capacity({ connections, config, figures, withFront }: CapacityQuestion): Capacity {
  const { workers } = config;
  const perConnection = kilobytes(figures.connectionBytes);
  const lines: CapacityLine[] = [
    { what: 'primary', sum: '1 process', bytes: figures.primaryBytes },
    {
      what: 'empty workers',
      sum: `${workers} × ${megabytes(figures.workerBytes)}`,
      bytes: workers * figures.workerBytes,
    },
    {
      what: 'connections in workers',
      sum: `${connections} × ${perConnection} (measured)`,
      bytes: connections * figures.connectionBytes,
    },
    {
      what: 'their sockets in the kernel',
      sum: `${connections} × ${kilobytes(SOCKET_BYTES)} (size of its objects)`,
      bytes: connections * SOCKET_BYTES,
    },
  ];
  if (withFront) {
    const each = HAPROXY_TLS_BYTES + 2 * SOCKET_BYTES;
    lines.push({
      what: 'HAProxy with TLS on this machine',
      sum: `${connections} × ${kilobytes(each)} (published figure, with two sockets)`,
      bytes: connections * each,
    });
  }
  const limits = [config.admission.accept_rate, config.client.connection_rate_limit].filter(
    (limit) => limit > 0,
  );
  return {
    connections,
    workers,
    figures,
    lines,
    totalBytes: lines.reduce((sum, { bytes }) => sum + bytes, 0),
    heapBytesPerWorker: Math.ceil((connections / workers) * figures.connectionBytes),
    reconnectSeconds: limits.length > 0 ? Math.ceil(connections / Math.min(...limits)) : undefined,
  };
}

export function kilobytes(bytes: number): string {
  return `${(bytes / 1_000).toFixed(1)} kB`;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(0)} MB`;
}
