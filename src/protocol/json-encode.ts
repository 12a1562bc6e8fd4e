// JSON replies and pushes (client protocol §3.1, §4-§6): zero values are left out but for the members that SDKs rely on.
import { stripNewlines } from './json-span.ts';
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

/** Thrown inside, caught at the edge of the encoder: a payload that is no JSON has no form on a JSON transport. */
class NotJson extends Error {}

/** Undefined when a payload is no JSON. */
export function encodeJsonReply(id: number, result: Result): string | undefined {
  return unlessNotJson(() => `{"id":${id},"${result.kind}":${encodeResult(result)}}`);
}

export function encodeJsonError(id: number, error: ReplyError): string {
  const temporary = error.temporary ? ',"temporary":true' : '';
  return `{"id":${id},"error":{"code":${error.code},"message":${JSON.stringify(error.message)}${temporary}}}`;
}

/** Undefined when a payload is no JSON. */
export function encodeJsonPush(push: Push, unidirectional: boolean): string | undefined {
  return unlessNotJson(() => (unidirectional ? encodePush(push) : `{"push":${encodePush(push)}}`));
}

function unlessNotJson(encode: () => string): string | undefined {
  try {
    return encode();
  } catch (error) {
    if (error instanceof NotJson) return undefined;
    throw error;
  }
}

function encodeResult(result: Result): string {
  switch (result.kind) {
    case 'connect':
      return encodeConnect(result.result);
    case 'subscribe':
      return encodeSubscribe(result.result);
    case 'unsubscribe':
    case 'publish':
      return '{}';
    case 'presence': {
      const entries = result.presence.map((info) => `${JSON.stringify(info.client)}:${encodeInfo(info)}`);
      return `{"presence":{${entries.join(',')}}}`;
    }
    case 'presence_stats':
      return `{"num_clients":${result.clients},"num_users":${result.users}}`;
    case 'history':
      return `{"publications":[${result.publications.map(encodePublication).join(',')}],"epoch":${JSON.stringify(result.position.epoch)},"offset":${result.position.offset}}`;
    case 'rpc':
      return result.data === undefined ? '{}' : `{"data":${payload(result.data)}}`;
    case 'refresh':
      return encodeRefresh(result.result);
    case 'sub_refresh':
      return `{${members(expires(result.ttlS))}}`;
  }
}

function encodePush(push: Push): string {
  switch (push.kind) {
    case 'publication':
      return `{"channel":${JSON.stringify(push.channel)},"pub":${encodePublication(push.publication)}}`;
    case 'join':
    case 'leave':
      return `{"channel":${JSON.stringify(push.channel)},"${push.kind}":{"info":${encodeInfo(push.info)}}}`;
    case 'unsubscribe':
      return `{"channel":${JSON.stringify(push.channel)},"unsubscribe":{"code":${push.code},"reason":${JSON.stringify(push.reason)}}}`;
    case 'message':
      return `{"message":{"data":${payload(push.data)}}}`;
    case 'subscribe':
      return `{"channel":${JSON.stringify(push.channel)},"subscribe":${encodeSubscribe(push.result)}}`;
    case 'connect':
      return `{"connect":${encodeConnect(push.result)}}`;
    case 'disconnect':
      return `{"disconnect":{"code":${push.code},"reason":${JSON.stringify(push.reason)}}}`;
    case 'refresh':
      return `{"refresh":{${members(expires(push.ttlS))}}}`;
  }
}

function encodeConnect(result: ConnectResult): string {
  const subs =
    result.subs && [...result.subs].map(([name, sub]) => `${JSON.stringify(name)}:${encodeSubscribe(sub)}`);
  return `{${members([
    `"client":${JSON.stringify(result.client)}`,
    `"version":${JSON.stringify(result.version)}`,
    ...expires(result.ttlS),
    result.data && `"data":${payload(result.data)}`,
    subs && subs.length > 0 && `"subs":{${subs.join(',')}}`,
    result.pingS && `"ping":${result.pingS}`,
    result.pong && '"pong":true',
    result.session && `"session":${JSON.stringify(result.session)}`,
    result.node && `"node":${JSON.stringify(result.node)}`,
    result.time && `"time":${result.time}`,
  ])}}`;
}

function encodeSubscribe(result: SubscribeResult): string {
  return `{${members([
    ...expires(result.ttlS),
    result.recoverable && '"recoverable":true',
    ...position(result.position),
    result.publications &&
      result.publications.length > 0 &&
      `"publications":[${result.publications.map(encodePublication).join(',')}]`,
    result.recovered && '"recovered":true',
    result.positioned && '"positioned":true',
    result.data && `"data":${payload(result.data)}`,
    result.wasRecovering && '"was_recovering":true',
    result.delta && '"delta":true',
  ])}}`;
}

function encodeRefresh(result: RefreshResult): string {
  return `{${members([
    `"client":${JSON.stringify(result.client)}`,
    `"version":${JSON.stringify(result.version)}`,
    ...expires(result.ttlS),
  ])}}`;
}

/** Once per publication: built by hand, as lists of parts cost three times as much. */
function encodePublication(publication: DeliveredPublication): string {
  const { data, isJson, delta, info, offset, tags, time, epoch } = publication;
  let text = '';
  // A delta negotiated on JSON makes every payload a JSON string, patch or not (§16).
  if (delta !== undefined) text = `,"data":${deltaPayload(data, delta.data)}`;
  else if (data.length > 0) text = `,"data":${isJson === true ? data.toString('utf8') : payload(data)}`;
  if (info !== undefined) text += `,"info":${encodeInfo(info)}`;
  if (offset > 0) text += `,"offset":${offset}`;
  if (tags !== undefined) text += `,"tags":${JSON.stringify(tags)}`;
  if (delta?.isPatch === true) text += ',"delta":true';
  if (offset > 0 && time > 0) text += `,"time":${time}`;
  if (epoch !== undefined && epoch !== '') text += `,"epoch":${JSON.stringify(epoch)}`;
  return `{${text.slice(1)}}`;
}

function encodeInfo({ user, client, connInfo, chanInfo }: ClientInfo): string {
  let text = `{"user":${JSON.stringify(user)},"client":${JSON.stringify(client)}`;
  if (connInfo !== undefined) text += `,"conn_info":${payload(connInfo)}`;
  if (chanInfo !== undefined) text += `,"chan_info":${payload(chanInfo)}`;
  return `${text}}`;
}

function expires(ttlS: number | undefined): string[] {
  return ttlS === undefined ? [] : ['"expires":true', `"ttl":${ttlS}`];
}

function position(at: StreamPosition | undefined): (string | false)[] {
  if (at === undefined) return [];
  return [at.epoch !== '' && `"epoch":${JSON.stringify(at.epoch)}`, at.offset > 0 && `"offset":${at.offset}`];
}

/** The patch, or the whole payload as it is: patches are made against its exact bytes. */
function deltaPayload(data: Buffer, delta: Buffer): string {
  payload(data);
  return JSON.stringify(delta.toString('utf8'));
}

/** Checked here, once per publication and process, unless the publisher spoke JSON (`isJson`). */
function payload(data: Buffer): string {
  const text = data.toString('utf8');
  try {
    JSON.parse(text);
  } catch {
    throw new NotJson('payload is no JSON');
  }
  return stripNewlines(text);
}

function members(parts: readonly (string | false | 0 | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== false && part !== 0 && part !== '').join(',');
}
