// Names in Redis. All that belongs to one channel (or owner) carries it in braces, so that a Cluster keeps it in one slot.
//
//   <prefix>:s:{channel}   stream            <prefix>:m:{channel}   position
//   <prefix>:i<length>:{channel}key  idempotency; the length of the channel tells where the key begins
//   <prefix>:c:{channel}   pub/sub: what happens in the channel
//   <prefix>:p:{channel}   presence          <prefix>:u:{channel}   presence: users
//   <prefix>:o:{owner}     channels in which an owner has presence
//   <prefix>:a:{channel}   owners with subscribers      <prefix>:b:{owner}   channels in which an owner has subscribers
//   <prefix>:l:{nodes}     leases            <prefix>:l:{nodes}owner  somebody clears up after this owner
//   <prefix>:n:{nodes}     pub/sub: to every node      <prefix>:n:{node}   to one node
//   <prefix>:e:{tag}node   pub/sub: echoes of this node's probe

export type PubSubKind = 'channel' | 'node' | 'echo';

export interface PubSubName {
  readonly kind: PubSubKind;
  /** Channel, node or tag. */
  readonly tag: string;
}

/** Of leases and of messages to every node. No node has this name: names of nodes are longer. */
export const NODES_TAG = 'nodes';

const KINDS: Readonly<Record<number, PubSubKind>> = { 0x63: 'channel', 0x6e: 'node', 0x65: 'echo' };
/** `:c:{` */
const MARK_CHARS = 4;
const CLOSING_BRACE = 0x7d;

export class Keys {
  readonly #prefix: string;
  readonly #nameAt: number;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.#nameAt = Buffer.byteLength(prefix) + MARK_CHARS;
  }

  stream(channel: string): string {
    return this.#key('s', channel);
  }
  position(channel: string): string {
    return this.#key('m', channel);
  }
  idempotency(channel: string, key: string): string {
    return this.#key(`i${channel.length}`, channel) + key;
  }
  pubSub(channel: string): string {
    return this.#key('c', channel);
  }
  presence(channel: string): string {
    return this.#key('p', channel);
  }
  users(channel: string): string {
    return this.#key('u', channel);
  }
  owned(owner: string): string {
    return this.#key('o', owner);
  }
  audience(channel: string): string {
    return this.#key('a', channel);
  }
  audiences(owner: string): string {
    return this.#key('b', owner);
  }
  get leases(): string {
    return this.#key('l', NODES_TAG);
  }
  claim(owner: string): string {
    return this.#key('l', NODES_TAG) + owner;
  }
  /** NODES_TAG: every node. */
  nodePubSub(node: string): string {
    return this.#key('n', node);
  }
  echo(tag: string, node: string): string {
    return this.#key('e', tag) + node;
  }

  /** Undefined: not one of ours. */
  parsePubSub(name: Buffer): PubSubName | undefined {
    const kind = KINDS[name[this.#nameAt - 3] ?? 0];
    if (kind === undefined) return undefined;
    const end = name.lastIndexOf(CLOSING_BRACE);
    return { kind, tag: unescapeTag(name.toString('utf8', this.#nameAt, end)) };
  }

  #key(kind: string, tag: string): string {
    return `${this.#prefix}:${kind}:{${escapeTag(tag)}}`;
  }
}

/** In an empty pair of braces Redis sees no tag: a name that begins with the closing one gets something before it. */
function escapeTag(tag: string): string {
  return tag.startsWith('}') || tag.startsWith('\\') || tag === '' ? `\\${tag}` : tag;
}

function unescapeTag(tag: string): string {
  return tag.startsWith('\\') ? tag.slice(1) : tag;
}
