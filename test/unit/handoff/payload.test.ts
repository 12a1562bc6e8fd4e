// A connection written down and read again; what is not known is not touched.
import { serialize } from 'node:v8';
import t from 'tap';
import { SESSION_SCHEMA } from '../../../src/connection/session.ts';
import { decodeConnection, encodeConnection, type MovingConnection } from '../../../src/handoff/payload.ts';
import { LoneConnections } from '../../helpers/lone-connection.ts';

const FACTS = {
  kind: 'websocket',
  encoding: 'json',
  hasNativePing: false,
  subprotocol: '',
  compresses: false,
} as const;

function moving(unsent: readonly Buffer[]): MovingConnection {
  const lone = new LoneConnections();
  const connection = lone.open(undefined, { user: 'u', connInfo: Buffer.from('{"a":1}') });
  return {
    facts: FACTS,
    snapshot: connection.freeze(),
    subscriptions: [],
    tail: Buffer.from('tail'),
    unsent,
  };
}

t.test('everything arrives, wherever in memory it lies', async (t) => {
  const sent = moving([Buffer.from('one'), Buffer.alloc(0), Buffer.from('three')]);
  const bytes = encodeConnection(sent);
  const within = Buffer.concat([Buffer.alloc(13), bytes, Buffer.alloc(5)]).subarray(13, 13 + bytes.length);
  t.same(decodeConnection(within), sent);
  t.same(decodeConnection(new Uint8Array(bytes)), sent);
});

t.test('what lives as long as the connection holds on to nothing that does not', async (t) => {
  const received = decodeConnection(encodeConnection(moving([Buffer.alloc(1_000_000)])));
  const info = received?.snapshot.session.connInfo;
  t.equal(info?.toString(), '{"a":1}');
  t.ok((info?.buffer.byteLength ?? Infinity) < 100_000);
});

t.test('another version, or another schema, is not read', async (t) => {
  const known = { version: 3, schema: SESSION_SCHEMA };
  for (const envelope of [{ ...known, version: 2, connection: {} }, { ...known, schema: 0 }, known, null]) {
    t.equal(decodeConnection(serialize(envelope)), undefined);
  }
});
