// Whose connection it is when proxies stand between: their word counts only when they are known.
import { BlockList, isIP } from 'node:net';

/** As in a configuration: an address, a network such as `10.0.0.0/8`, or `unix` for a proxy that comes by UNIX socket. */
export class TrustedProxies {
  readonly #list = new BlockList();
  readonly #trustsUnix: boolean;
  readonly #isEmpty: boolean;

  constructor(entries: readonly string[]) {
    this.#isEmpty = entries.length === 0;
    this.#trustsUnix = entries.includes('unix');
    for (const entry of entries) {
      const [address = '', bits] = entry.split('/');
      const family = familyOf(address);
      if (family === undefined) continue;
      if (bits === undefined) this.#list.addAddress(address, family);
      else this.#list.addSubnet(address, Number(bits), family);
    }
  }

  /** `peer`: as the socket says; empty for a UNIX socket. Empty when nobody knows. */
  clientAddress(peer: string, forwardedFor: string): string {
    if (this.#isEmpty || forwardedFor === '') return plain(peer);
    let address = plain(peer);
    // The last proxy wrote the last entry: from there on backwards as long as it is one of ours that says so.
    const said = forwardedFor.split(',');
    while (said.length > 0 && this.#trusts(address)) {
      const before = plain((said.pop() ?? '').trim());
      if (isIP(before) === 0) break;
      address = before;
    }
    return address;
  }

  #trusts(address: string): boolean {
    if (address === '') return this.#trustsUnix;
    const family = familyOf(address);
    return family !== undefined && this.#list.check(address, family);
  }
}

/** What is limited together: an IPv4 address, or the network of 64 bits that a household has of IPv6. */
export function addressKey(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const first = head === '' ? [] : head.split(':');
  if (tail === undefined) return first.slice(0, 4).join(':');
  const zeros = 8 - first.length - (tail === '' ? 0 : tail.split(':').length);
  return [...first, ...Array.from({ length: zeros }, () => '0'), ...tail.split(':')].slice(0, 4).join(':');
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const family = isIP(address);
  return family === 4 ? 'ipv4' : family === 6 ? 'ipv6' : undefined;
}

/** Of a dual-stack socket. */
function plain(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
