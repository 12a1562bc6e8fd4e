// Clients that only listen: how their connect payload and a failure of it are taken.
import t from 'tap';
import { CloseCauses } from '../../../src/protocol/close-causes.ts';
import { jsonCodec } from '../../../src/protocol/json-codec.ts';
import { ProtocolError } from '../../../src/protocol/protocol-error.ts';
import { ReplyErrors } from '../../../src/protocol/reply-errors.ts';
import { connectFrame, unidirectionalCause } from '../../../src/protocol/unidirectional.ts';

t.test('a payload becomes a connect command', async (t) => {
  const frame = connectFrame(Buffer.from('{\r\n  "token": "T",\n  "data": {"big": 12345678901234567890}\n}'));
  const [command] = jsonCodec.decode(frame);
  t.match(command, { kind: 'connect', id: 1, request: { token: 'T' } });
  t.ok(frame.includes('12345678901234567890'), 'digits stay');
  for (const empty of ['', ' \n', '{}']) {
    t.match(jsonCodec.decode(connectFrame(Buffer.from(empty))), [
      { kind: 'connect', request: { token: '' } },
    ]);
  }
});

t.test('whatever is no object is a bad request', async (t) => {
  const payloads = ['x', '[]', '"a"', '1', 'null', '{', '{}{}', '{}},"x":{', '{}\n{"id":2,"rpc":{}}'];
  for (const payload of payloads) {
    t.throws(() => jsonCodec.decode(connectFrame(Buffer.from(payload))), ProtocolError, payload);
  }
});

t.test('errors become closes, by the table or by configuration', async (t) => {
  t.equal(unidirectionalCause(ReplyErrors.tokenExpired), CloseCauses.expired);
  t.equal(unidirectionalCause(ReplyErrors.expired), CloseCauses.expired);
  t.equal(unidirectionalCause(ReplyErrors.tooManyRequests), CloseCauses.tooManyRequests);
  t.equal(unidirectionalCause(ReplyErrors.permissionDenied), CloseCauses.permissionDenied);
  t.equal(unidirectionalCause(ReplyErrors.internal), CloseCauses.internalError);
  t.equal(unidirectionalCause(ReplyErrors.unknownChannel), CloseCauses.internalError);
  const transforms = [{ code: 109, to: { code: 4501, reason: 'log in again' } }];
  t.match(unidirectionalCause(ReplyErrors.tokenExpired, transforms), { code: 4501, reason: 'log in again' });
  t.equal(unidirectionalCause(ReplyErrors.permissionDenied, transforms), CloseCauses.permissionDenied);
});
