// What Linux says of this machine. `root` is where its file system begins; every function throws when it does not say.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDescriptorLimit } from '../../cluster/descriptors.ts';
import type { DescriptorFact, FactValues, PortRange } from '../facts.ts';

/** A kernel setting by its name: "net.core.somaxconn". */
function sysctl(name: string, root: string): string {
  const path = join(root, 'proc/sys', name.replaceAll('.', '/'));
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    throw new Error(`${name} cannot be read here`);
  }
}

export function sysctlNumber(name: string, root: string): number {
  const value = Number(sysctl(name, root).split(/\s+/)[0]);
  if (!Number.isFinite(value)) throw new Error(`${name} is no number here`);
  return value;
}

export function portRange(root: string): PortRange {
  const [from = '', to = ''] = sysctl('net.ipv4.ip_local_port_range', root).split(/\s+/);
  const reserved = sysctl('net.ipv4.ip_local_reserved_ports', root)
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const [first = '', last = first] = part.split('-');
      return [Number(first), Number(last)] as const;
    });
  return { from: Number(from), to: Number(to), reserved };
}

export function conntrack(root: string): FactValues['conntrack'] {
  const isLoaded = existsSync(join(root, 'proc/sys/net/netfilter/nf_conntrack_max'));
  return isLoaded
    ? { loaded: true, max: sysctlNumber('net.netfilter.nf_conntrack_max', root) }
    : { loaded: false, max: Infinity };
}

export function memory(root: string): FactValues['memory'] {
  const text = readText(join(root, 'proc/meminfo'), '/proc/meminfo');
  return { totalBytes: meminfo(text, 'MemTotal'), availableBytes: meminfo(text, 'MemAvailable') };
}

function meminfo(text: string, name: string): number {
  const kilobytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
  if (kilobytes === undefined) throw new Error(`/proc/meminfo does not say ${name}`);
  return Number(kilobytes) * 1024;
}

/** Descriptors that a process may open; `pid` or `self`. */
export function descriptorsOf(pid: number | 'self', of: string, root: string): DescriptorFact {
  const limit = parseDescriptorLimit(readText(join(root, `proc/${pid}/limits`), `limits of process ${pid}`));
  if (limit === undefined) throw new Error(`the limits of process ${pid} do not name open files`);
  return { hard: limit.hard, of };
}

/** Bytes of a process that are in memory. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(
    readText(`/proc/${pid}/status`, `memory of process ${pid}`),
  )?.[1];
  if (kilobytes === undefined) throw new Error(`process ${pid} is gone`);
  return Number(kilobytes) * 1024;
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new Error(`${what} cannot be read here`);
  }
}
