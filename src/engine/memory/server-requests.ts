// What the embedded engine does for each frame of a worker. Frames of one link are handled in order and without waiting:
// only a subscribe request may be answered later, when the exclusive holder of the channel has let go.
import type { Clock } from '../../util/clock.ts';
import type { FrameReader } from '../frame-reader.ts';
import type { FrameWriter } from '../frame-writer.ts';
import { Numbering } from '../numbering.ts';
import type { InterestTable } from './interest.ts';
import type { NodeRegistry } from './node-registry.ts';
import type { PresenceRegistry } from './presence-registry.ts';
import { readInfo } from '../publication-codec.ts';
import type { ServerLink } from './server-link.ts';
import type { Standstill } from './standstill.ts';
import type { MemoryStore, StoreOptions, StoreOutcome } from './store.ts';
import { FrameType, PublishFlag, WIRE_VERSION } from './wire.ts';
import { WireError } from '../wire-error.ts';

/** Of one answer that is a list; a longer one fails instead of filling the worker's queue. */
const MAX_LIST_BYTES = 32 * 1024 * 1024;
const PART_BYTES = 256 * 1024;

export interface ServerCounters {
  published: number;
  /** Publications handed to links: one for each interested worker. */
  delivered: number;
  suppressed: number;
  requests: number;
}

export interface ServerRequestsDeps {
  readonly clock: Clock;
  readonly store: MemoryStore;
  readonly interest: InterestTable<ServerLink>;
  readonly presence: PresenceRegistry<ServerLink>;
  readonly nodes: NodeRegistry;
  readonly counters: ServerCounters;
  readonly standstill: Standstill;
  /** Of what passes the engine without being stored, and is therefore the same for all workers. */
  readonly publisher: number;
}

export class ServerRequests {
  readonly #deps: ServerRequestsDeps;
  readonly #numbering = new Numbering();

  constructor(deps: ServerRequestsDeps) {
    this.#deps = deps;
  }

  handle(link: ServerLink, frame: FrameReader): void {
    const { interest, presence, nodes, counters, store, clock, standstill } = this.#deps;
    counters.requests += 1;
    if (link.node === '' && frame.type !== FrameType.hello)
      throw new WireError('the first frame must be hello');
    switch (frame.type) {
      case FrameType.plain:
        counters.published += 1;
        this.#forward(link, frame);
        break;
      case FrameType.join:
      case FrameType.leave:
        this.#forward(link, frame);
        break;
      case FrameType.publish:
        this.#publish(link, frame);
        break;
      case FrameType.subscribe:
        interest.subscribe(link, frame.string(), frame.id, frame.u8() !== 0, clock.monotonicMs());
        break;
      case FrameType.unsubscribe:
        interest.unsubscribe(link, frame.string());
        break;
      case FrameType.shared:
        interest.shared(link, frame.string(), frame.u32());
        break;
      case FrameType.history:
        this.#history(link, frame);
        break;
      case FrameType.removeHistory:
        store.removeHistory(frame.string());
        link.answer(frame.id);
        break;
      case FrameType.presenceAdd:
        this.#presenceAdd(link, frame);
        break;
      case FrameType.presenceRemove:
        presence.remove(link, frame.string(), frame.string());
        link.answer(frame.id);
        break;
      case FrameType.presenceGet:
        if (sendParts(link, frame.id, presence.get(frame.string()), writeBytes)) link.answer(frame.id);
        break;
      case FrameType.presenceStats: {
        const { clients, users } = presence.stats(frame.string());
        link.begin(FrameType.answer, frame.id).u32(clients).u32(users);
        link.end();
        break;
      }
      case FrameType.nodeSend:
        nodes.send(link, frame);
        break;
      case FrameType.nodeBroadcast:
        nodes.broadcast(link, frame);
        break;
      case FrameType.survey:
        nodes.survey(link, frame);
        break;
      case FrameType.surveyAnswer:
        nodes.surveyAnswer(link, frame);
        break;
      case FrameType.ping:
        link.answer(frame.id);
        break;
      case FrameType.hello:
        this.#hello(link, frame);
        break;
      case FrameType.paused:
        standstill.paused(link);
        break;
      case FrameType.retold:
        standstill.retold(link);
        break;
      default:
        throw new WireError(`unknown frame type ${String(frame.type)}`);
    }
    standstill.look();
  }

  #hello(link: ServerLink, frame: FrameReader): void {
    const version = frame.u8();
    if (version !== WIRE_VERSION) {
      link.fail(frame.id, `engine protocol ${String(WIRE_VERSION)} here, ${String(version)} there`);
      return;
    }
    const node = frame.string();
    if (node === '' || link.node !== '') throw new WireError('hello without a node or twice');
    link.wantsOccupancy = frame.u8() !== 0;
    this.#deps.nodes.register(node, link);
    link.answer(frame.id);
    this.#deps.standstill.greeted(link);
  }

  /** Hands the frame as it came to the other interested links: the worker that it came from has delivered it itself. */
  #forward(link: ServerLink, frame: FrameReader): void {
    const links = this.#deps.interest.publishing(link, frame.string());
    for (const interested of links) {
      if (interested === link) continue;
      interested.forward(frame);
      this.#deps.counters.delivered += 1;
    }
  }

  #publish(link: ServerLink, frame: FrameReader): void {
    const { store, interest, counters } = this.#deps;
    const channel = frame.string();
    const flags = frame.u8();
    const options = readOptions(frame, flags);
    const body = frame.rest();
    counters.published += 1;
    // A history outlives the read buffer, which must not be held by a small part of it.
    const outcome = store.publish(channel, options.historySize > 0 ? ownCopy(body) : body, options);
    if (outcome.suppressed === false) {
      const links = interest.links(channel);
      const wantsPrevious = (flags & PublishFlag.delta) !== 0;
      const number = outcome.stored === undefined && links.length > 0 ? this.#numbering.next(channel) : 0;
      for (const interested of links)
        this.#deliver(interested, channel, body, outcome, wantsPrevious, number);
      counters.delivered += links.length;
    } else {
      counters.suppressed += 1;
    }
    const { position, suppressed } = outcome;
    link
      .begin(FrameType.answer, frame.id)
      .f64(position.offset)
      .string(position.epoch)
      .u8(suppressed === false ? 0 : suppressed === 'idempotency' ? 1 : 2);
    link.end();
  }

  #deliver(
    link: ServerLink,
    channel: string,
    body: Buffer,
    { position, stored, previous }: StoreOutcome,
    wantsPrevious: boolean,
    number: number,
  ): void {
    if (stored === undefined) {
      const frame = link.begin(FrameType.plain, 0).string(channel).f64(this.#deps.publisher).f64(number);
      frame.f64(this.#deps.clock.wallMs()).raw(body);
      link.end();
      return;
    }
    const frame = link.begin(FrameType.delivery, 0).string(channel);
    frame.f64(stored.offset).f64(stored.time).string(position.epoch);
    if (wantsPrevious && previous !== undefined) {
      frame.u8(1).f64(previous.offset).f64(previous.time).bytes(previous.body);
    } else {
      frame.u8(0);
    }
    frame.raw(stored.body);
    link.end();
  }

  #history(link: ServerLink, frame: FrameReader): void {
    const channel = frame.string();
    const reverse = frame.u8() !== 0;
    // -1 stands for "everything" and for "from the end".
    const limit = frame.f64();
    const since = frame.f64();
    const filter = { limit, reverse, sinceOffset: since < 0 ? undefined : since };
    const { publications, top } = this.#deps.store.history(channel, filter, frame.f64());
    const sent = sendParts(link, frame.id, publications, (writer, { offset, time, body }) =>
      writer.f64(offset).f64(time).bytes(body),
    );
    if (!sent) return;
    link.begin(FrameType.answer, frame.id).f64(top.offset).string(top.epoch);
    link.end();
  }

  #presenceAdd(link: ServerLink, frame: FrameReader): void {
    const channel = frame.string();
    const encoded = frame.remaining();
    const { client, user } = readInfo(frame);
    this.#deps.presence.add(link, channel, client, user, ownCopy(encoded));
    link.answer(frame.id);
  }
}

function readOptions(frame: FrameReader, flags: number): StoreOptions {
  const historySize = frame.u32();
  const historyTtlMs = frame.f64();
  const historyMetaTtlMs = frame.f64();
  const isIdempotent = (flags & PublishFlag.idempotent) !== 0;
  const idempotencyKey = isIdempotent ? frame.string() : '';
  const idempotencyTtlMs = isIdempotent ? frame.f64() : 0;
  const isVersioned = (flags & PublishFlag.versioned) !== 0;
  const version = isVersioned ? frame.f64() : 0;
  const versionEpoch = isVersioned ? frame.string() : '';
  return {
    historySize,
    historyTtlMs,
    historyMetaTtlMs,
    idempotencyKey,
    idempotencyTtlMs,
    version,
    versionEpoch,
  };
}

/** Sends items as `part` frames; the answer is the caller's. False when they are too many: then the failure is sent. */
function sendParts<T>(
  link: ServerLink,
  id: number,
  items: Iterable<T>,
  write: (writer: FrameWriter, item: T) => unknown,
): boolean {
  const beforeBytes = link.queuedBytes;
  let writer: FrameWriter | undefined;
  let partAtBytes = 0;
  for (const item of items) {
    if (writer === undefined) {
      partAtBytes = link.queuedBytes;
      writer = link.begin(FrameType.part, id);
    }
    write(writer, item);
    if (link.queuedBytes - partAtBytes < PART_BYTES) continue;
    link.end();
    writer = undefined;
    if (link.queuedBytes - beforeBytes > MAX_LIST_BYTES) {
      link.fail(id, 'the answer is too large');
      return false;
    }
  }
  if (writer !== undefined) link.end();
  return true;
}

function writeBytes(writer: FrameWriter, bytes: Buffer): FrameWriter {
  return writer.bytes(bytes);
}

function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
