// Bodies of emulation requests: what is taken, and that nothing else does harm.
import protobuf from 'protobufjs/minimal.js';
import t from 'tap';
import { decodeEmulationRequest } from '../../../src/protocol/emulation-request.ts';
import { ProtocolError } from '../../../src/protocol/protocol-error.ts';
import { below, seeded } from '../../helpers/random.ts';

const request = { node: 'n-1', session: 's-1', data: Buffer.from('{"id":3,"publish":{"channel":"a"}}\n{}') };

function encode({ node, session, data }: { node: string; session: string; data: Buffer }): Buffer {
  return Buffer.from(
    protobuf.Writer.create()
      .uint32(10)
      .string(node)
      .uint32(18)
      .string(session)
      .uint32(26)
      .bytes(data)
      .finish(),
  );
}

t.test('JSON carries commands in a string', async (t) => {
  const body = JSON.stringify({ ...request, data: request.data.toString(), extra: [1] });
  t.same(decodeEmulationRequest(Buffer.from(body), 'json'), request);
});

t.test('Protobuf carries them as bytes', async (t) => {
  t.same(decodeEmulationRequest(encode(request), 'protobuf'), request);
  const more = Buffer.concat([encode(request), Buffer.from([0x20, 1])]);
  t.same(decodeEmulationRequest(more, 'protobuf'), request, 'an unknown field is skipped');
});

t.test('no data is an empty frame, which its connection will not like', async (t) => {
  const none = { ...request, data: Buffer.alloc(0) };
  t.same(decodeEmulationRequest(Buffer.from('{"node":"n-1","session":"s-1"}'), 'json'), none);
  t.same(decodeEmulationRequest(encode(none), 'protobuf'), none);
});

t.test('what is no request', async (t) => {
  const bodies = [
    '',
    'null',
    '1',
    '[]',
    '{"node":"n"',
    '{"session":"s"}',
    '{"node":"n"}',
    '{"node":1,"session":"s","data":""}',
    '{"node":"n","session":{},"data":""}',
    '{"node":"n","session":"s","data":null}',
    '{"node":"n","session":"s","data":{"id":1}}',
  ];
  for (const body of bodies) {
    t.throws(() => decodeEmulationRequest(Buffer.from(body), 'json'), ProtocolError, body);
  }
  const cut = encode(request).subarray(0, -1);
  t.throws(() => decodeEmulationRequest(cut, 'protobuf'), ProtocolError);
  t.throws(
    () => decodeEmulationRequest(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), 'protobuf'),
    ProtocolError,
  );
  t.throws(
    () => decodeEmulationRequest(Buffer.from([0x08, 1]), 'protobuf'),
    ProtocolError,
    'wrong wire type',
  );
});

t.test('any bytes are decoded or refused', async (t) => {
  const roll = seeded(7);
  let refused = 0;
  for (let round = 0; round < 4000; round += 1) {
    const bytes = encode(request);
    for (let changes = 0; changes < 3; changes += 1) {
      bytes[below(roll, bytes.length)] = below(roll, 256);
    }
    try {
      decodeEmulationRequest(bytes, 'protobuf');
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      refused += 1;
    }
  }
  t.ok(refused > 0 && refused < 4000);
});
