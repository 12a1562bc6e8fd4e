// The slots of a Redis Cluster: which one a tag has, and who has which by what nodes tell. Pure.

export const SLOTS = 16_384;

/** CRC-16/XMODEM of the tag's bytes, as Redis computes it. */
export function slotOf(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc % SLOTS;
}

/** One line of `CLUSTER NODES`. */
export interface NodeView {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** A name by which it wants to be found, '' without. */
  readonly hostname: string;
  readonly isMaster: boolean;
  /** Nobody reaches it, says whoever tells this. */
  readonly hasFailed: boolean;
  /** The higher one is right about its slots. */
  readonly epoch: number;
  readonly ranges: readonly (readonly [first: number, last: number])[];
}

/** `askedHost`: of the node that answers, which may not know its own address. */
export function parseNodes(text: string, askedHost: string): NodeView[] {
  return text.split('\n').flatMap((line) => {
    const [id = '', address = '', flagList = '', , , , epoch = '', , ...slots] = line.trim().split(' ');
    const parsed = /^(.*):(\d+)@\d+(?:,([^,]*))?/.exec(address);
    if (parsed === null) return [];
    const [, host = '', port = '', hostname = ''] = parsed;
    const flags = flagList.split(',');
    // Without an address it cannot be reached, and has nothing yet.
    if (flags.includes('noaddr') || flags.includes('handshake')) return [];
    return [
      {
        id,
        host: host === '' ? askedHost : host,
        port: Number(port),
        hostname,
        isMaster: flags.includes('master'),
        hasFailed: flags.includes('fail'),
        epoch: Number(epoch),
        ranges: slots.flatMap(parseRange),
      },
    ];
  });
}

/** `5`, `0-5460`; what is on its way (`[93-<-id]`) belongs to whom it belonged. */
function parseRange(text: string): (readonly [number, number])[] {
  const parsed = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (parsed === null) return [];
  const first = Number(parsed[1]);
  return [[first, parsed[2] === undefined ? first : Number(parsed[2])]];
}

export interface SlotMap {
  /** By slot: the id of its master, undefined where nobody has it. */
  readonly owners: readonly (string | undefined)[];
  readonly nodes: ReadonlyMap<string, NodeView>;
}

export const NO_SLOTS: SlotMap = { owners: [], nodes: new Map() };

/** From what several nodes see: of two who are said to have a slot, the one with the higher epoch has it. */
export function mergeViews(views: Iterable<readonly NodeView[]>): SlotMap {
  const owners: (string | undefined)[] = Array.from({ length: SLOTS });
  const epochs = new Float64Array(SLOTS).fill(-1);
  const nodes = new Map<string, NodeView>();
  for (const view of views) {
    for (const node of view) {
      if ((nodes.get(node.id)?.epoch ?? -1) <= node.epoch) nodes.set(node.id, node);
      if (!node.isMaster) continue;
      for (const [first, last] of node.ranges) {
        for (let slot = first; slot <= last && slot < SLOTS; slot += 1) {
          if (node.epoch < (epochs[slot] ?? 0)) continue;
          epochs[slot] = node.epoch;
          owners[slot] = node.id;
        }
      }
    }
  }
  return { owners, nodes };
}

export interface SlotChange {
  readonly changed: boolean;
  /** A slot went to somebody else because its master failed, not because it was moved. */
  readonly failedOver: boolean;
}

export function compare(before: SlotMap, after: SlotMap): SlotChange {
  let changed = false;
  for (let slot = 0; slot < SLOTS; slot += 1) {
    const [was, is] = [before.owners[slot], after.owners[slot]];
    if (was === is) continue;
    changed = true;
    if (was === undefined || is === undefined) continue;
    const former = after.nodes.get(was);
    if (former?.isMaster !== true || former.hasFailed) return { changed, failedOver: true };
  }
  return { changed, failedOver: false };
}
