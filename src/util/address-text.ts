// How an address that a server listens at is written: `host:port` or `unix:path`.
import type { AddressInfo } from 'node:net';

export function addressText(address: AddressInfo | string | null): string {
  if (typeof address === 'string') return `unix:${address}`;
  if (address === null) return 'closed';
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${host}:${address.port}`;
}
