// Sessions as an upgrade makes them.
import { randomUUID } from 'node:crypto';
import { type Session, signsOfLife } from '../../src/connection/session.ts';

export function session(over: Partial<Session> = {}): Session {
  return {
    client: randomUUID(),
    secret: '',
    sid: '',
    user: '',
    connInfo: undefined,
    meta: undefined,
    name: '',
    version: '',
    expireAtWallMs: Infinity,
    clientSideRefresh: false,
    tokenChannels: [],
    connectedAtWallMs: 0,
    remoteAddress: '127.0.0.1',
    userAgent: '',
    headers: {},
    emulatedHeaders: {},
    signs: signsOfLife(0),
    rates: undefined,
    inboundBytes: undefined,
    offeredToken: '',
    ...over,
  };
}
