// Listening sockets that systemd opened for us (sd_listen_fds): they stay open while this service restarts.

const FIRST = 3;

export interface ActivatedSocket {
  readonly kind: 'fd';
  readonly fd: number;
  /** FileDescriptorName= of the socket unit. */
  readonly name: string;
}

/** None when they are meant for another process: the environment is inherited, the descriptors are not. */
export function activatedSockets(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): readonly ActivatedSocket[] {
  if (Number(environment['LISTEN_PID']) !== pid) return [];
  const count = Number(environment['LISTEN_FDS']);
  if (!Number.isInteger(count) || count < 1) return [];
  const names = (environment['LISTEN_FDNAMES'] ?? '').split(':');
  return Array.from({ length: count }, (_, index) => ({
    kind: 'fd',
    fd: FIRST + index,
    name: names[index] ?? '',
  }));
}
