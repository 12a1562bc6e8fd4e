// Which descriptor of this process listens at a port: node:cluster keeps the internal port's to itself. From what the kernel
// says of this process (Linux).
import { fstatSync, readdirSync, readFileSync } from 'node:fs';

const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'];
const LISTENING = '0A';

/** Inodes of sockets that listen at this port, of a table as in /proc/net/tcp. */
function listeningInodes(table: string, port: number): readonly number[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
    const isMeant = state === LISTENING && Number.parseInt(local.split(':')[1] ?? '', 16) === port;
    return isMeant ? [Number(inode)] : [];
  });
}

/** Undefined when this process has none but those that are known otherwise. */
export function listeningDescriptor(port: number, known: readonly number[]): number | undefined {
  const inodes = new Set(TABLES.flatMap((table) => listeningInodes(readTable(table), port)));
  const descriptors = readdirSync('/proc/self/fd').map(Number);
  return descriptors.find((fd) => !known.includes(fd) && inodes.has(inodeOf(fd) ?? 0));
}

/** Undefined when it is not open. */
export function inodeOf(fd: number): number | undefined {
  try {
    return fstatSync(fd).ino;
  } catch {
    return undefined;
  }
}

function readTable(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // No IPv6.
    return '';
  }
}
