// The PresenceStore of a worker at the embedded engine. The engine forgets a worker's entries when its link ends, so the
// worker keeps what it owns, to tell it again over the next link.
import type { ClientInfo } from '../../protocol/publication.ts';
import type { PresenceStats, PresenceStore } from '../presence-store.ts';
import type { ClientLink } from './client-link.ts';
import { FrameReader } from '../frame-reader.ts';
import { readInfo, writeInfo } from '../publication-codec.ts';
import { FrameType } from './wire.ts';

export class ClientPresence implements PresenceStore {
  readonly #link: ClientLink;
  readonly #owned = new Map<string, Map<string, ClientInfo>>();
  #entries = 0;

  constructor(link: ClientLink) {
    this.#link = link;
  }

  /** Entries of this worker. */
  get entries(): number {
    return this.#entries;
  }

  /** Rejected, it has no effect, now or later. */
  async add(channel: string, info: ClientInfo): Promise<void> {
    let isSent = false;
    await this.#link.request(FrameType.presenceAdd, {
      write: (frame) => {
        writeInfo(frame.string(channel), info);
        this.#own(channel, info);
        isSent = true;
      },
      read: () => undefined,
      failed: () => {
        // Perhaps the engine took it, only too late.
        if (isSent && this.#owned.get(channel)?.get(info.client) === info) {
          this.remove(channel, info.client).catch(() => undefined);
        }
      },
    });
  }

  handOver(channel: string, client: string): void {
    const clients = this.#owned.get(channel);
    if (clients?.delete(client) === true) this.#entries -= 1;
    if (clients?.size === 0) this.#owned.delete(channel);
  }

  async remove(channel: string, client: string): Promise<void> {
    this.handOver(channel, client);
    // Without a link the engine has nothing of this worker.
    if (!this.#link.up) return;
    await this.#link.request(FrameType.presenceRemove, {
      write: (frame) => frame.string(channel).string(client),
      read: () => undefined,
    });
  }

  async get(channel: string): Promise<readonly ClientInfo[]> {
    const infos: ClientInfo[] = [];
    return this.#link.request(FrameType.presenceGet, {
      write: (frame) => frame.string(channel),
      part: (frame) => {
        while (!frame.done) infos.push(readInfo(FrameReader.over(frame.bytes())));
      },
      read: () => infos,
    });
  }

  async stats(channel: string): Promise<PresenceStats> {
    return this.#link.request(FrameType.presenceStats, {
      write: (frame) => frame.string(channel),
      read: (frame) => ({ clients: frame.u32(), users: frame.u32() }),
    });
  }

  /** Tells a new link all entries; the link takes them in order, before any later change. */
  retell(): void {
    for (const [channel, clients] of this.#owned) {
      for (const info of clients.values()) {
        writeInfo(this.#link.begin(FrameType.presenceAdd).string(channel), info);
        this.#link.end();
      }
    }
  }

  close(): void {
    this.#owned.clear();
    this.#entries = 0;
  }

  #own(channel: string, info: ClientInfo): void {
    let clients = this.#owned.get(channel);
    if (clients === undefined) this.#owned.set(channel, (clients = new Map<string, ClientInfo>()));
    if (!clients.has(info.client)) this.#entries += 1;
    clients.set(info.client, info);
  }
}
