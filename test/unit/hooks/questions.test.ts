import t from 'tap';
import type { Subject } from '../../../src/hooks/application.ts';
import { callHeaders } from '../../../src/hooks/webhooks/forwarded-headers.ts';
import {
  connectBody,
  NoJsonError,
  publishBody,
  refreshBody,
  rpcBody,
  subRefreshBody,
  subscribeBody,
} from '../../../src/hooks/webhooks/questions.ts';

const subject: Subject = {
  client: 'c-1',
  user: '17 "quoted"',
  transport: 'websocket',
  protocol: 'json',
  meta: Buffer.from('{"big":9007199254740993}'),
  headers: {},
  emulatedHeaders: {},
};
const protobuf: Subject = { ...subject, protocol: 'protobuf' };
const plain = { binary: false, includeMeta: false };
const withMeta = { binary: false, includeMeta: true };
const binary = { binary: true, includeMeta: false };
const data = Buffer.from('{"n":9007199254740993}');

const transport = { client: 'c-1', transport: 'websocket', protocol: 'json', encoding: 'json' };
const whole = { ...transport, user: '17 "quoted"' };

t.test('bodies as documented', (t) => {
  const connect = { subject, data, name: 'js', version: '5', channels: ['a', 'b'] };
  t.same(JSON.parse(connectBody(connect, withMeta)), {
    ...transport,
    data: { n: Number('9007199254740993') },
    name: 'js',
    version: '5',
    channels: ['a', 'b'],
  });
  t.same(
    JSON.parse(connectBody({ subject, data: undefined, name: '', version: '', channels: [] }, plain)),
    transport,
    'what is empty is left out',
  );
  t.same(JSON.parse(refreshBody(subject, plain)), whole);
  t.same(JSON.parse(subscribeBody({ subject, channel: 'news', token: 't', data }, plain)), {
    ...whole,
    channel: 'news',
    token: 't',
    data: { n: Number('9007199254740993') },
  });
  t.same(JSON.parse(publishBody({ subject, channel: 'news', data }, binary)), {
    ...whole,
    encoding: 'binary',
    channel: 'news',
    b64data: data.toString('base64'),
  });
  t.same(JSON.parse(rpcBody({ subject, method: 'm', data: undefined }, plain)), { ...whole, method: 'm' });
  t.same(JSON.parse(subRefreshBody({ subject, channel: 'news' }, plain)), { ...whole, channel: 'news' });
  t.end();
});

t.test('payloads and meta are embedded as they were written', (t) => {
  t.match(rpcBody({ subject, method: 'm', data }, withMeta), '"data":{"n":9007199254740993}');
  t.match(refreshBody(subject, withMeta), '"meta":{"big":9007199254740993}');
  t.notMatch(refreshBody(subject, plain), 'meta');
  t.end();
});

t.test('bytes that are no JSON cannot be embedded', (t) => {
  const question = { subject: protobuf, channel: 'news', data: Buffer.from([1, 2, 255]) };
  t.throws(() => publishBody(question, plain), NoJsonError);
  t.match(publishBody(question, binary), '"b64data":"AQL/"');
  t.throws(() => publishBody({ ...question, data: Buffer.from('1,"user":"root"') }, plain), NoJsonError);
  t.match(publishBody({ ...question, data: Buffer.from('{"a":1}') }, plain), '"data":{"a":1}');
  t.end();
});

t.test('headers: only those on a list, the real ones win', (t) => {
  const asker = {
    ...subject,
    headers: { cookie: 'a=b', authorization: 'real', host: 'outside', 'x-other': 'no' },
    emulatedHeaders: {
      Authorization: 'forged',
      'X-App': 'app',
      'X-Secret': 'no',
      'X-Bad': 'line\r\nbreak: 1',
      'content-length': '0',
    },
  };
  const settings = {
    httpHeaders: ['cookie', 'authorization', 'host', 'x-absent'],
    emulatedHeaders: ['authorization', 'x-app', 'x-bad', 'content-length'],
    staticHeaders: { 'X-App': 'static', 'X-Key': 'k', 'Content-Type': 'text/plain', 'bad name': 'x' },
  };
  t.same(callHeaders(asker, settings, { 'content-type': 'application/json' }), {
    'x-key': 'k',
    'x-app': 'app',
    cookie: 'a=b',
    authorization: 'real',
    'content-type': 'application/json',
  });
  t.end();
});
