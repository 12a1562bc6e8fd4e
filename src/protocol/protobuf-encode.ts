// Protobuf replies and pushes (client protocol §3.2, §4-§6), each with its length before it.
import protobuf from 'protobufjs/minimal.js';
import type { ClientInfo, StreamPosition } from './publication.ts';
import type {
  ConnectResult,
  DeliveredPublication,
  Push,
  RefreshResult,
  Result,
  SubscribeResult,
} from './replies.ts';
import type { ReplyError } from './reply-errors.ts';

type Writer = protobuf.Writer;

const RESULT_FIELDS = {
  connect: 5,
  subscribe: 6,
  unsubscribe: 7,
  publish: 8,
  presence: 9,
  presence_stats: 10,
  history: 11,
  rpc: 13,
  refresh: 14,
  sub_refresh: 15,
} as const satisfies Record<Result['kind'], number>;

const PUSH_FIELD = 4;

const PUSH_FIELDS = {
  publication: 4,
  join: 5,
  leave: 6,
  unsubscribe: 7,
  message: 8,
  subscribe: 9,
  connect: 10,
  disconnect: 11,
  refresh: 12,
} as const satisfies Record<Push['kind'], number>;

export function encodeProtobufReply(id: number, result: Result): Buffer {
  const writer = start();
  uint(writer, 1, id);
  // Present even when it is empty: a success is told by its member.
  open(writer, RESULT_FIELDS[result.kind]);
  writeResult(writer, result);
  writer.ldelim();
  return finish(writer);
}

export function encodeProtobufError(id: number, error: ReplyError): Buffer {
  const writer = start();
  uint(writer, 1, id);
  open(writer, 2);
  uint(writer, 1, error.code);
  text(writer, 2, error.message);
  flag(writer, 3, error.temporary);
  writer.ldelim();
  return finish(writer);
}

export function encodeProtobufPush(push: Push, unidirectional: boolean): Buffer {
  const writer = start();
  if (!unidirectional) open(writer, PUSH_FIELD);
  if ('channel' in push) text(writer, 2, push.channel);
  open(writer, PUSH_FIELDS[push.kind]);
  writePush(writer, push);
  writer.ldelim();
  if (!unidirectional) writer.ldelim();
  return finish(writer);
}

function writeResult(writer: Writer, result: Result): void {
  switch (result.kind) {
    case 'connect':
      return writeConnect(writer, result.result, CONNECT_RESULT);
    case 'subscribe':
      return writeSubscribe(writer, result.result);
    case 'unsubscribe':
    case 'publish':
      return;
    case 'presence':
      for (const info of result.presence) {
        open(writer, 1);
        text(writer, 1, info.client);
        writeInfo(writer, 2, info);
        writer.ldelim();
      }
      return;
    case 'presence_stats':
      uint(writer, 1, result.clients);
      uint(writer, 2, result.users);
      return;
    case 'history':
      for (const publication of result.publications) writePublicationField(writer, 1, publication);
      text(writer, 2, result.position.epoch);
      uint(writer, 3, result.position.offset);
      return;
    case 'rpc':
      return bytes(writer, 1, result.data);
    case 'refresh':
      return writeRefresh(writer, result.result);
    case 'sub_refresh':
      return expires(writer, 1, result.ttlS);
  }
}

function writePush(writer: Writer, push: Push): void {
  switch (push.kind) {
    case 'publication':
      return writePublication(writer, push.publication);
    case 'join':
    case 'leave':
      return writeInfo(writer, 1, push.info);
    case 'unsubscribe':
      uint(writer, 2, push.code);
      return text(writer, 3, push.reason);
    case 'message':
      return bytes(writer, 1, push.data);
    case 'subscribe':
      flag(writer, 1, push.result.recoverable);
      position(writer, 4, 5, push.result.position);
      flag(writer, 6, push.result.positioned);
      return bytes(writer, 7, push.result.data);
    case 'connect':
      return writeConnect(writer, push.result, CONNECT_PUSH);
    case 'disconnect':
      uint(writer, 1, push.code);
      return text(writer, 2, push.reason);
    case 'refresh':
      return expires(writer, 1, push.ttlS);
  }
}

/** The reply and the push hold the same under other numbers. */
const CONNECT_RESULT = { expires: 3, data: 5, subs: 6 } as const;
const CONNECT_PUSH = { expires: 5, data: 3, subs: 4 } as const;

function writeConnect(
  writer: Writer,
  result: ConnectResult,
  fields: typeof CONNECT_RESULT | typeof CONNECT_PUSH,
): void {
  text(writer, 1, result.client);
  text(writer, 2, result.version);
  expires(writer, fields.expires, result.ttlS);
  bytes(writer, fields.data, result.data);
  for (const [channel, sub] of result.subs ?? []) {
    open(writer, fields.subs);
    text(writer, 1, channel);
    open(writer, 2);
    writeSubscribe(writer, sub);
    writer.ldelim();
    writer.ldelim();
  }
  uint(writer, 7, result.pingS);
  flag(writer, 8, result.pong);
  text(writer, 9, result.session);
  text(writer, 10, result.node);
  uint(writer, 11, result.time);
}

function writeSubscribe(writer: Writer, result: SubscribeResult): void {
  expires(writer, 1, result.ttlS);
  flag(writer, 3, result.recoverable);
  text(writer, 6, result.position?.epoch);
  for (const publication of result.publications ?? []) writePublicationField(writer, 7, publication);
  flag(writer, 8, result.recovered);
  uint(writer, 9, result.position?.offset);
  flag(writer, 10, result.positioned);
  bytes(writer, 11, result.data);
  flag(writer, 12, result.wasRecovering);
  flag(writer, 13, result.delta);
}

function writeRefresh(writer: Writer, result: RefreshResult): void {
  text(writer, 1, result.client);
  text(writer, 2, result.version);
  expires(writer, 3, result.ttlS);
}

function writePublicationField(writer: Writer, field: number, publication: DeliveredPublication): void {
  open(writer, field);
  writePublication(writer, publication);
  writer.ldelim();
}

function writePublication(writer: Writer, publication: DeliveredPublication): void {
  bytes(writer, 4, publication.delta?.data ?? publication.data);
  if (publication.info !== undefined) writeInfo(writer, 5, publication.info);
  uint(writer, 6, publication.offset);
  for (const [key, value] of Object.entries(publication.tags ?? {})) {
    open(writer, 7);
    text(writer, 1, key);
    text(writer, 2, value);
    writer.ldelim();
  }
  flag(writer, 8, publication.delta?.isPatch);
  uint(writer, 9, publication.time);
  text(writer, 14, publication.epoch);
}

function writeInfo(writer: Writer, field: number, info: ClientInfo): void {
  open(writer, field);
  text(writer, 1, info.user);
  text(writer, 2, info.client);
  bytes(writer, 3, info.connInfo);
  bytes(writer, 4, info.chanInfo);
  writer.ldelim();
}

function position(
  writer: Writer,
  epochField: number,
  offsetField: number,
  at: StreamPosition | undefined,
): void {
  text(writer, epochField, at?.epoch);
  uint(writer, offsetField, at?.offset);
}

/** `expires` and, in the field after it, `ttl`. */
function expires(writer: Writer, field: number, ttlS: number | undefined): void {
  flag(writer, field, ttlS !== undefined);
  uint(writer, field + 1, ttlS);
}

const VARINT = 0;
const LENGTH_DELIMITED = 2;

function start(): Writer {
  return protobuf.Writer.create().fork();
}

function finish(writer: Writer): Buffer {
  const message = writer.ldelim().finish();
  return Buffer.from(message.buffer, message.byteOffset, message.byteLength);
}

/** Begins a nested message; `ldelim` ends it. */
function open(writer: Writer, field: number): void {
  writer.uint32((field << 3) | LENGTH_DELIMITED).fork();
}

function text(writer: Writer, field: number, value: string | undefined): void {
  if (value !== undefined && value !== '') writer.uint32((field << 3) | LENGTH_DELIMITED).string(value);
}

function bytes(writer: Writer, field: number, value: Buffer | undefined): void {
  if (value !== undefined && value.length > 0) writer.uint32((field << 3) | LENGTH_DELIMITED).bytes(value);
}

function uint(writer: Writer, field: number, value: number | undefined): void {
  if (value !== undefined && value > 0) writer.uint32((field << 3) | VARINT).uint64(value);
}

function flag(writer: Writer, field: number, value: boolean | undefined): void {
  if (value === true) writer.uint32((field << 3) | VARINT).bool(true);
}
