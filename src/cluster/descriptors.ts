// How many file descriptors this process may open, and how many connections that allows.
import { readFileSync } from 'node:fs';

export interface DescriptorLimit {
  readonly soft: number;
  readonly hard: number;
}

/** Undefined where the system does not say (it is Linux that has /proc). */
export function readDescriptorLimit(path = '/proc/self/limits'): DescriptorLimit | undefined {
  try {
    return parseDescriptorLimit(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

export function parseDescriptorLimit(limits: string): DescriptorLimit | undefined {
  const match = /^Max open files\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(limits);
  if (match === null) return undefined;
  const [, soft = '', hard = ''] = match;
  return { soft: parseLimit(soft), hard: parseLimit(hard) };
}

function parseLimit(text: string): number {
  return text === 'unlimited' ? Infinity : Number(text);
}

/** Files, pipes, the engine, the log, listening sockets, and a reserve: some calls fail in bad ways without one. */
const OWN_DESCRIPTORS = 200;

/** Connections that the workers of this host can hold together: one descriptor each, in the worker. */
export function connectionsAllowed(limit: DescriptorLimit, workers: number): number {
  // Node raises the soft limit to the hard one when it starts.
  return Math.max(0, limit.hard - OWN_DESCRIPTORS) * workers;
}
