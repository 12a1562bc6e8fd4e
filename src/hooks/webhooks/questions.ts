// The JSON bodies of webhook calls (server API §6). Payloads are embedded as they were written, never printed anew.
import type {
  ConnectQuestion,
  PublishQuestion,
  RpcQuestion,
  Subject,
  SubRefreshQuestion,
  SubscribeQuestion,
} from '../application.ts';
import { HoldfastError } from '../../util/errors.ts';
import type { EndpointSettings } from './settings.ts';

type Form = Pick<EndpointSettings, 'binary' | 'includeMeta'>;

/** A payload that a JSON body cannot hold: bytes of a Protobuf client where the endpoint expects JSON. */
export class NoJsonError extends HoldfastError {
  constructor(options?: ErrorOptions) {
    super('HOLDFAST_NO_JSON', 'the payload is no JSON, and the endpoint has no binary_encoding', options);
  }
}

export function connectBody(question: ConnectQuestion, form: Form): string {
  const { subject, data, name, version, channels } = question;
  return object(
    ...transportMembers(subject, form),
    ...payload(subject, data, form),
    ...(name === '' ? [] : [member('name', name)]),
    ...(version === '' ? [] : [member('version', version)]),
    ...(channels.length === 0 ? [] : [member('channels', channels)]),
  );
}

export function refreshBody(subject: Subject, form: Form): string {
  return object(...subjectMembers(subject, form));
}

export function subscribeBody({ subject, channel, token, data }: SubscribeQuestion, form: Form): string {
  return object(
    ...subjectMembers(subject, form),
    member('channel', channel),
    ...(token === '' ? [] : [member('token', token)]),
    ...payload(subject, data, form),
  );
}

export function publishBody({ subject, channel, data }: PublishQuestion, form: Form): string {
  return object(
    ...subjectMembers(subject, form),
    member('channel', channel),
    ...payload(subject, data, form),
  );
}

export function rpcBody({ subject, method, data }: RpcQuestion, form: Form): string {
  return object(...subjectMembers(subject, form), member('method', method), ...payload(subject, data, form));
}

export function subRefreshBody({ subject, channel }: SubRefreshQuestion, form: Form): string {
  return object(...subjectMembers(subject, form), member('channel', channel));
}

function subjectMembers(subject: Subject, form: Form): string[] {
  const members = [...transportMembers(subject, form), member('user', subject.user)];
  if (form.includeMeta && subject.meta !== undefined) members.push(`"meta":${subject.meta.toString('utf8')}`);
  return members;
}

function transportMembers(subject: Subject, form: Form): string[] {
  return [
    member('client', subject.client),
    member('transport', subject.transport),
    member('protocol', subject.protocol),
    member('encoding', form.binary ? 'binary' : 'json'),
  ];
}

function payload(subject: Subject, data: Buffer | undefined, form: Form): string[] {
  if (data === undefined || data.length === 0) return [];
  if (form.binary) return [member('b64data', data.toString('base64'))];
  const text = data.toString('utf8');
  // What came in JSON is JSON.
  if (subject.protocol !== 'json') requireJson(text);
  return [`"data":${text}`];
}

function requireJson(text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new NoJsonError({ cause: error });
  }
}

function member(name: string, value: string | readonly string[]): string {
  return `"${name}":${JSON.stringify(value)}`;
}

function object(...members: string[]): string {
  return `{${members.join(',')}}`;
}
