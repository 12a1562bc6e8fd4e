// What the contract suites need of an engine: several processes' clients of one shared engine, time, and its absence.
import type { Broker, BrokerListener } from '../../src/engine/broker.ts';
import type { NodeBus } from '../../src/engine/node-bus.ts';
import type { PresenceStore } from '../../src/engine/presence-store.ts';
import type { ClientInfo, Publication } from '../../src/protocol/publication.ts';
import type { Scope } from '../helpers/scope.ts';
import { waitFor } from '../helpers/wait-for.ts';

export interface EngineClient {
  readonly broker: Broker;
  readonly presence: PresenceStore;
  readonly nodes: NodeBus;
  readonly events: Recording;
  /** Ends as an orderly process does. */
  close(): Promise<void>;
}

export interface EngineUnderTest {
  /**
   * Without the engine, what needs no storing and no acknowledgement still reaches the subscribers of the publishing process;
   * else it is refused.
   */
  readonly goesOnAlone: boolean;
  /** One more process that uses the engine. */
  client(): Promise<EngineClient>;
  /** Lets so much time pass for everything in the engine that expires. */
  elapse(ms: number): Promise<void>;
  /** Takes the engine away, and brings it back; it may have forgotten everything. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export type EngineFactory = (scope: Scope) => Promise<EngineUnderTest>;

export interface RecordedEvent {
  readonly kind: 'publication' | 'join' | 'leave' | 'interruption';
  readonly channel: string;
  /** Payload of a publication, client id of a join or leave. */
  readonly text: string;
  readonly publication?: Publication;
  readonly epoch?: string;
  readonly previous?: Publication | undefined;
  readonly info?: ClientInfo;
}

/** A listener that keeps everything in order; what it got as views of read buffers is copied. */
export class Recording implements BrokerListener {
  readonly all: RecordedEvent[] = [];

  onPublication(channel: string, publication: Publication, epoch: string, previous?: Publication): void {
    const text = publication.data.toString();
    this.all.push({ kind: 'publication', channel, text, publication, epoch, previous });
  }

  onJoin(channel: string, info: ClientInfo): void {
    this.all.push({ kind: 'join', channel, text: info.client, info });
  }

  onLeave(channel: string, info: ClientInfo): void {
    this.all.push({ kind: 'leave', channel, text: info.client, info });
  }

  onInterruption(channel = ''): void {
    this.all.push({ kind: 'interruption', channel, text: '' });
  }

  of(channel: string): readonly RecordedEvent[] {
    return this.all.filter((event) => event.channel === channel && event.kind !== 'interruption');
  }

  texts(channel: string): readonly string[] {
    return this.of(channel).map(({ text }) => text);
  }

  /** Waits for the events of the channel to be so many, and returns them. */
  async until(channel: string, count: number): Promise<readonly RecordedEvent[]> {
    return waitFor(`${String(count)} events in ${channel}`, () => {
      const events = this.of(channel);
      return events.length >= count && events;
    });
  }

  async untilText(channel: string, text: string): Promise<void> {
    await waitFor(`'${text}' in ${channel}`, () => this.texts(channel).includes(text));
  }

  async untilInterrupted(): Promise<void> {
    await waitFor('an interruption', () => this.all.some(({ kind }) => kind === 'interruption'));
  }
}
