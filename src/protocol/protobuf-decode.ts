// Protobuf commands of client frames (client protocol §3.2, §4, §5): each preceded by its length, several in a frame.
import protobuf from 'protobufjs/minimal.js';
import {
  COMMAND_MEMBERS,
  type Command,
  type CommandKind,
  type ConnectRequest,
  type HistoryRequest,
  PLAIN_SUBSCRIBE,
  PONG,
  type SubscribeRequest,
} from './commands.ts';
import { ProtobufFields } from './protobuf-fields.ts';
import { ProtocolError } from './protocol-error.ts';
import type { StreamPosition } from './publication.ts';

/** Entries of a map in one message; what a client really sends stays far below. */
const MAX_MAP_ENTRIES = 65_536;
/** Nesting of a tags filter; the filter itself refuses trees far below this. */
const MAX_FILTER_DEPTH = 64;

type MemberKind = Exclude<CommandKind, 'pong'>;

const KIND_BY_FIELD: ReadonlyMap<number, MemberKind> = new Map([
  [4, 'connect'],
  [5, 'subscribe'],
  [6, 'unsubscribe'],
  [7, 'publish'],
  [8, 'presence'],
  [9, 'presence_stats'],
  [10, 'history'],
  [12, 'send'],
  [13, 'rpc'],
  [14, 'refresh'],
  [15, 'sub_refresh'],
]);

/** Commands of one frame. Throws ProtocolError when it holds none or a wrong one. */
export function decodeProtobufFrame(frame: Buffer): readonly Command[] {
  if (frame.length === 0) throw new ProtocolError('frame without a command');
  const commands: Command[] = [];
  try {
    const reader = protobuf.Reader.create(frame);
    while (reader.pos < reader.len) commands.push(decodeCommand(reader.bytes()));
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    // The reader's own complaints: cut short, a length beyond the frame, an endless varint, groups too deep.
    throw new ProtocolError('command is not valid Protobuf');
  }
  return commands;
}

function decodeCommand(message: Uint8Array): Command {
  if (message.length === 0) return PONG;
  const fields = new ProtobufFields(message);
  const members = new Map<MemberKind, ProtobufFields>();
  let id = 0;
  while (fields.next()) {
    const kind = KIND_BY_FIELD.get(fields.number);
    if (kind !== undefined) members.set(kind, fields.message());
    else if (fields.number === 1) id = fields.uint32();
  }
  for (const kind of COMMAND_MEMBERS) {
    const member = members.get(kind);
    if (member === undefined) continue;
    if (id === 0 && kind !== 'send') break;
    return decodeMember(kind, id, member);
  }
  if (id === 0) return PONG;
  throw new ProtocolError('command without a known member');
}

function decodeMember(kind: MemberKind, id: number, fields: ProtobufFields): Command {
  switch (kind) {
    case 'connect':
      return { kind, id, request: connectRequest(fields) };
    case 'subscribe':
      return { kind, id, request: subscribeRequest(fields) };
    case 'publish':
      return publish(id, fields);
    case 'history':
      return { kind, id, request: historyRequest(fields) };
    case 'send': {
      let data: Buffer | undefined;
      while (fields.next()) if (fields.number === 1) data = fields.bytes();
      return { kind, id, data };
    }
    case 'rpc':
      return rpc(id, fields);
    case 'refresh':
      return { kind, id, token: firstString(fields) };
    case 'sub_refresh':
      return subRefresh(id, fields);
    case 'unsubscribe':
    case 'presence':
    case 'presence_stats':
      return { kind, id, channel: firstString(fields) };
  }
}

function connectRequest(fields: ProtobufFields): ConnectRequest {
  let token = '';
  let data: Buffer | undefined;
  let name = '';
  let version = '';
  const subs = new Map<string, SubscribeRequest>();
  const headers = new Map<string, string>();
  while (fields.next()) {
    switch (fields.number) {
      case 1:
        token = fields.string();
        break;
      case 2:
        data = fields.bytes();
        break;
      case 3:
        mapEntry(subs, fields.message(), (value) => subscribeRequest(value.message()), PLAIN_SUBSCRIBE);
        break;
      case 4:
        name = fields.string();
        break;
      case 5:
        version = fields.string();
        break;
      case 6:
        mapEntry(headers, fields.message(), (value) => value.string(), '');
        break;
      default:
    }
  }
  for (const [channel, request] of subs) subs.set(channel, { ...request, channel });
  return { token, data, subs, name, version, headers: Object.fromEntries(headers) };
}

function subscribeRequest(fields: ProtobufFields): SubscribeRequest {
  const request: { -readonly [K in keyof SubscribeRequest]: SubscribeRequest[K] } = { ...PLAIN_SUBSCRIBE };
  while (fields.next()) {
    switch (fields.number) {
      case 1:
        request.channel = fields.string();
        break;
      case 2:
        request.token = fields.string();
        break;
      case 3:
        request.recover = fields.boolean();
        break;
      case 6:
        request.epoch = fields.string();
        break;
      case 7:
        request.offset = fields.uint64();
        break;
      case 8:
        request.data = fields.bytes();
        break;
      case 9:
        request.positioned = fields.boolean();
        break;
      case 10:
        request.recoverable = fields.boolean();
        break;
      case 11:
        request.joinLeave = fields.boolean();
        break;
      case 12:
        request.delta = fields.string();
        break;
      case 13:
        request.filter = filterNode(fields.message(), 1);
        break;
      case 14:
        request.flag = fields.int64();
        break;
      case 15:
        request.type = fields.int32();
        break;
      default:
    }
  }
  return request;
}

/** The same plain tree that a JSON client sends, for the filter to check. */
function filterNode(fields: ProtobufFields, depth: number): object {
  if (depth > MAX_FILTER_DEPTH) throw new ProtocolError('tags filter is nested too deeply');
  const node = { op: '', key: '', cmp: '', val: '', vals: [] as string[], nodes: [] as object[] };
  while (fields.next()) {
    switch (fields.number) {
      case 1:
        node.op = fields.string();
        break;
      case 2:
        node.key = fields.string();
        break;
      case 3:
        node.cmp = fields.string();
        break;
      case 4:
        node.val = fields.string();
        break;
      case 5:
        node.vals.push(fields.string());
        break;
      case 6:
        node.nodes.push(filterNode(fields.message(), depth + 1));
        break;
      default:
    }
  }
  return node;
}

function publish(id: number, fields: ProtobufFields): Command {
  let channel = '';
  let data: Buffer | undefined;
  let type = 0;
  while (fields.next()) {
    if (fields.number === 1) channel = fields.string();
    else if (fields.number === 2) data = fields.bytes();
    else if (fields.number === 3) type = fields.int32();
  }
  return { kind: 'publish', id, channel, data, isJson: false, type };
}

function historyRequest(fields: ProtobufFields): HistoryRequest {
  let channel = '';
  let limit = 0;
  let since: StreamPosition | undefined;
  let reverse = false;
  while (fields.next()) {
    if (fields.number === 1) channel = fields.string();
    else if (fields.number === 7) limit = fields.int32();
    else if (fields.number === 8) since = streamPosition(fields.message());
    else if (fields.number === 9) reverse = fields.boolean();
  }
  return { channel, limit, since, reverse };
}

function streamPosition(fields: ProtobufFields): StreamPosition {
  let offset = 0;
  let epoch = '';
  while (fields.next()) {
    if (fields.number === 1) offset = fields.uint64();
    else if (fields.number === 2) epoch = fields.string();
  }
  return { offset, epoch };
}

function rpc(id: number, fields: ProtobufFields): Command {
  let method = '';
  let data: Buffer | undefined;
  while (fields.next()) {
    if (fields.number === 1) data = fields.bytes();
    else if (fields.number === 2) method = fields.string();
  }
  return { kind: 'rpc', id, method, data };
}

function subRefresh(id: number, fields: ProtobufFields): Command {
  let channel = '';
  let token = '';
  let type = 0;
  while (fields.next()) {
    if (fields.number === 1) channel = fields.string();
    else if (fields.number === 2) token = fields.string();
    else if (fields.number === 3) type = fields.int32();
  }
  return { kind: 'sub_refresh', id, channel, token, type };
}

function firstString(fields: ProtobufFields): string {
  let text = '';
  while (fields.next()) if (fields.number === 1) text = fields.string();
  return text;
}

function mapEntry<V>(
  map: Map<string, V>,
  entry: ProtobufFields,
  read: (fields: ProtobufFields) => V,
  absent: V,
): void {
  let key = '';
  let value = absent;
  while (entry.next()) {
    if (entry.number === 1) key = entry.string();
    else if (entry.number === 2) value = read(entry);
  }
  map.set(key, value);
  if (map.size > MAX_MAP_ENTRIES) throw new ProtocolError('map has too many entries');
}
