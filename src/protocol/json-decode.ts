// JSON commands of client frames (client protocol §3.1, §4): one object a line, every field checked for its type.
import { type Fields, isFields } from '../util/fields.ts';
import { COMMAND_MEMBERS, type Command, PONG, type SubscribeRequest } from './commands.ts';
import { memberSpan, memberSpans } from './json-span.ts';
import { ProtocolError } from './protocol-error.ts';

/** Commands of one frame. Throws ProtocolError when it holds none or a wrong one. */
export function decodeJsonFrame(frame: Buffer): readonly Command[] {
  const text = frame.toString('utf8');
  const first = text.indexOf('\n');
  if (first === -1) return [decodeCommand(text)];
  const commands: Command[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() !== '') commands.push(decodeCommand(line));
  }
  if (commands.length === 0) throw new ProtocolError('frame without a command');
  return commands;
}

function decodeCommand(text: string): Command {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new ProtocolError('command is not valid JSON');
  }
  const fields = asObject(parsed, 'command');
  const id = uint(fields, 'id', MAX_UINT32);
  for (const kind of COMMAND_MEMBERS) {
    const member = fields[kind];
    if (member === undefined || member === null) continue;
    if (id === 0 && kind !== 'send') continue;
    return decodeMember(kind, id, asObject(member, kind), (name) => rawBytes(text, [kind, name]), text);
  }
  if (id === 0) return PONG;
  throw new ProtocolError('command without a known member');
}

function decodeMember(
  kind: (typeof COMMAND_MEMBERS)[number],
  id: number,
  fields: Fields,
  raw: (name: string) => Buffer | undefined,
  text: string,
): Command {
  switch (kind) {
    case 'connect':
      return {
        kind,
        id,
        request: {
          token: string(fields, 'token'),
          data: fields['data'] === undefined ? undefined : raw('data'),
          subs: connectSubs(fields['subs'], text),
          name: string(fields, 'name'),
          version: string(fields, 'version'),
          headers: stringMap(fields, 'headers'),
        },
      };
    case 'subscribe': {
      const data = fields['data'] === undefined ? undefined : raw('data');
      return { kind, id, request: subscribeRequest(fields, string(fields, 'channel'), data) };
    }
    case 'publish':
      return {
        kind,
        id,
        channel: string(fields, 'channel'),
        data: fields['data'] === undefined ? undefined : raw('data'),
        isJson: true,
        type: int(fields, 'type'),
      };
    case 'history':
      return {
        kind,
        id,
        request: {
          channel: string(fields, 'channel'),
          limit: int(fields, 'limit'),
          since: streamPosition(fields['since']),
          reverse: boolean(fields, 'reverse'),
        },
      };
    case 'send':
      return { kind, id, data: fields['data'] === undefined ? undefined : raw('data') };
    case 'rpc':
      return {
        kind,
        id,
        method: string(fields, 'method'),
        data: fields['data'] === undefined ? undefined : raw('data'),
      };
    case 'refresh':
      return { kind, id, token: string(fields, 'token') };
    case 'sub_refresh':
      return {
        kind,
        id,
        channel: string(fields, 'channel'),
        token: string(fields, 'token'),
        type: int(fields, 'type'),
      };
    case 'unsubscribe':
    case 'presence':
    case 'presence_stats':
      return { kind, id, channel: string(fields, 'channel') };
  }
}

function subscribeRequest(fields: Fields, channel: string, data: Buffer | undefined): SubscribeRequest {
  return {
    channel,
    token: string(fields, 'token'),
    recover: boolean(fields, 'recover'),
    epoch: string(fields, 'epoch'),
    offset: uint(fields, 'offset'),
    data,
    positioned: boolean(fields, 'positioned'),
    recoverable: boolean(fields, 'recoverable'),
    joinLeave: boolean(fields, 'join_leave'),
    delta: string(fields, 'delta'),
    filter: fields['tf'] ?? undefined,
    flag: int(fields, 'flag'),
    type: int(fields, 'type'),
  };
}

function connectSubs(value: unknown, text: string): ReadonlyMap<string, SubscribeRequest> {
  const subs = new Map<string, SubscribeRequest>();
  if (value === undefined || value === null) return subs;
  const raw = memberSpans(memberSpan(text, ['connect', 'subs']) ?? '{}');
  for (const [channel, request] of Object.entries(asObject(value, 'subs'))) {
    const fields = asObject(request, `subs of ${channel.slice(0, 64)}`);
    const data = fields['data'] === undefined ? undefined : rawBytes(raw.get(channel) ?? '{}', ['data']);
    subs.set(channel, subscribeRequest(fields, channel, data));
  }
  return subs;
}

function streamPosition(value: unknown): { offset: number; epoch: string } | undefined {
  if (value === undefined || value === null) return undefined;
  const fields = asObject(value, 'since');
  return { offset: uint(fields, 'offset'), epoch: string(fields, 'epoch') };
}

function rawBytes(text: string, path: readonly string[]): Buffer | undefined {
  const span = memberSpan(text, path);
  // A carriage return can stand between tokens of one line; it would reach other clients inside a frame of ours.
  return span === undefined || span === 'null'
    ? undefined
    : Buffer.from(span.includes('\r') ? span.replaceAll('\r', '') : span);
}

const MAX_UINT32 = 0xffff_ffff;

function asObject(value: unknown, what: string): Fields {
  if (!isFields(value)) throw new ProtocolError(`${what} must be an object`);
  return value;
}

function string(fields: Fields, name: string): string {
  const value = fields[name] ?? '';
  if (typeof value !== 'string') throw new ProtocolError(`${name} must be a string`);
  return value;
}

function boolean(fields: Fields, name: string): boolean {
  const value = fields[name] ?? false;
  if (typeof value !== 'boolean') throw new ProtocolError(`${name} must be true or false`);
  return value;
}

function int(fields: Fields, name: string): number {
  const value = fields[name] ?? 0;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw new ProtocolError(`${name} must be a whole number`);
  }
  return value;
}

function uint(fields: Fields, name: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = int(fields, name);
  if (value < 0 || value > max) throw new ProtocolError(`${name} is out of range`);
  return value;
}

function stringMap(fields: Fields, name: string): Readonly<Record<string, string>> {
  const value = fields[name];
  if (value === undefined || value === null) return {};
  const entries: [string, string][] = [];
  for (const [key, text] of Object.entries(asObject(value, name))) {
    if (typeof text !== 'string') throw new ProtocolError(`${name} must map names to strings`);
    entries.push([key, text]);
  }
  return Object.fromEntries(entries);
}
