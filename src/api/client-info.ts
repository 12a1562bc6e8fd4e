// How the server API shows who a client is.
import { z } from 'zod';
import type { ClientInfo } from '../protocol/publication.ts';
import { payloadMember } from './payload.ts';

export const clientInfoResult = z.object({
  user: z.string(),
  client: z.string(),
  conn_info: z.unknown().optional(),
  chan_info: z.unknown().optional(),
});

export function clientInfoJson(info: ClientInfo): string {
  const members = [`"user":${JSON.stringify(info.user)}`, `"client":${JSON.stringify(info.client)}`];
  if (info.connInfo !== undefined) members.push(payloadMember('conn_info', info.connInfo));
  if (info.chanInfo !== undefined) members.push(payloadMember('chan_info', info.chanInfo));
  return `{${members.join(',')}}`;
}
