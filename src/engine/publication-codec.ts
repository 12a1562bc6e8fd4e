// Publications and client infos as the engines carry them: forwarded and kept as the bytes that the publisher encoded; only
// listeners decode them.
//
//   u8 flags | info? | tags? (u32 count, then key and value each) | data up to the end
//   info: u8 flags | user | client | connInfo? | chanInfo?
import type { ClientInfo, Publication, PublicationDraft } from '../protocol/publication.ts';
import type { FrameReader } from './frame-reader.ts';
import type { FrameWriter } from './frame-writer.ts';

const HAS_INFO = 1;
const HAS_TAGS = 2;
const IS_JSON = 4;
const HAS_CONN_INFO = 1;
const HAS_CHAN_INFO = 2;

export function writeDraft(writer: FrameWriter, draft: PublicationDraft): void {
  const { info, tags, isJson } = draft;
  writer.u8(
    (info === undefined ? 0 : HAS_INFO) |
      (tags === undefined ? 0 : HAS_TAGS) |
      (isJson === true ? IS_JSON : 0),
  );
  if (info !== undefined) writeInfo(writer, info);
  if (tags !== undefined) {
    const keys = Object.keys(tags);
    writer.u32(keys.length);
    for (const key of keys) writer.string(key).string(tags[key] ?? '');
  }
  writer.raw(draft.data);
}

export function readPublication(reader: FrameReader, offset: number, time: number): Publication {
  const flags = reader.u8();
  const info = (flags & HAS_INFO) === 0 ? undefined : readInfo(reader);
  const tags = (flags & HAS_TAGS) === 0 ? undefined : readTags(reader);
  return { data: reader.rest(), isJson: (flags & IS_JSON) !== 0, info, tags, offset, time };
}

export function writeInfo(writer: FrameWriter, info: ClientInfo): void {
  const { connInfo, chanInfo } = info;
  writer.u8((connInfo === undefined ? 0 : HAS_CONN_INFO) | (chanInfo === undefined ? 0 : HAS_CHAN_INFO));
  writer.string(info.user).string(info.client);
  if (connInfo !== undefined) writer.bytes(connInfo);
  if (chanInfo !== undefined) writer.bytes(chanInfo);
}

export function readInfo(reader: FrameReader): ClientInfo {
  const flags = reader.u8();
  return {
    user: reader.string(),
    client: reader.string(),
    connInfo: (flags & HAS_CONN_INFO) === 0 ? undefined : reader.bytes(),
    chanInfo: (flags & HAS_CHAN_INFO) === 0 ? undefined : reader.bytes(),
  };
}

function readTags(reader: FrameReader): Record<string, string> {
  const entries: [string, string][] = [];
  for (let left = reader.u32(); left > 0; left -= 1) entries.push([reader.string(), reader.string()]);
  // fromEntries defines own properties, so that a key `__proto__` stays a key.
  return Object.fromEntries(entries);
}
