// Tokens beside the connect command, and what of a request is kept.
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import t from 'tap';
import { offeredToken, parseTarget, SessionReader } from '../../../src/gateway/client-request.ts';
import { TrustedProxies } from '../../../src/util/client-address.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';

const takesAll = { tokenCookie: 'auth', takesBearer: true };

t.test('the header comes before the query, the query before the cookie', async (t) => {
  const headers = { authorization: 'Bearer h.e.ader', cookie: 'a=b; auth=c.oo.kie; c=d' };
  const query = new URLSearchParams('token=q.ue.ry&x=1');
  t.equal(offeredToken(headers, query, takesAll), 'h.e.ader');
  t.equal(offeredToken({ cookie: headers.cookie }, query, takesAll), 'q.ue.ry');
  t.equal(offeredToken({ cookie: headers.cookie }, new URLSearchParams(), takesAll), 'c.oo.kie');
  t.equal(offeredToken({}, new URLSearchParams(), takesAll), '');
});

t.test('only what is meant for us is a token', async (t) => {
  const none = new URLSearchParams();
  t.equal(offeredToken({ authorization: 'Basic dXNlcjpwYXNz' }, none, takesAll), '');
  t.equal(offeredToken({ authorization: 'Bearer a b' }, none, takesAll), '');
  t.equal(offeredToken({ authorization: 'bearer  abc ' }, none, takesAll), 'abc');
  const noBearer = { ...takesAll, takesBearer: false };
  t.equal(offeredToken({ authorization: 'Bearer abc' }, none, noBearer), '', 'it is for the application');
  const noCookie = { ...takesAll, tokenCookie: '' };
  t.equal(offeredToken({ cookie: '=x; auth=y' }, none, noCookie), '');
  t.equal(offeredToken({ cookie: 'xauth=1; auth ; Auth=2; auth="3"' }, none, takesAll), '3');
});

t.test('a session knows its request', async (t) => {
  const request = new IncomingMessage(new Socket());
  request.headers = {
    'x-user': 'u-1',
    'x-other': 'o',
    'user-agent': 'a'.repeat(1000),
    'x-forwarded-for': '1.2.3.4',
  };
  const reader = new SessionReader(
    { clock: new FakeClock() },
    {
      keptHeaders: ['x-user', 'x-none'],
      tokenCookie: '',
      takesBearer: true,
      proxies: new TrustedProxies(['unix']),
    },
  );
  const query = new URLSearchParams('sid=abcdefghij0123456789&token=T');
  const plain = reader.read(request, query, false);
  t.match(plain, { sid: 'abcdefghij0123456789', secret: '', offeredToken: 'T', user: '' });
  t.strictSame(plain.headers, { 'x-user': 'u-1' });
  t.equal(plain.userAgent.length, 256);
  t.equal(plain.remoteAddress, '1.2.3.4', 'as a proxy says that is known');
  const [one, other] = [reader.read(request, query, true), reader.read(request, query, true)];
  t.ok(Buffer.from(one.secret, 'base64url').length >= 16, 'at least 128 bits');
  t.not(one.secret, other.secret);
  t.not(one.client, other.client);
  t.equal(reader.read(request, new URLSearchParams('sid=short'), false).sid, '');
});

t.test('targets are split at the first question mark', async (t) => {
  t.equal(parseTarget('/a?b=1?c').path, '/a');
  t.equal(parseTarget('/a?b=1?c').query.get('b'), '1?c');
  t.equal(parseTarget('/a').path, '/a');
  t.equal(parseTarget().path, '');
});
