import t from 'tap';
import { addressKey, TrustedProxies } from '../../../src/util/client-address.ts';

t.test('without known proxies nobody is believed', async (t) => {
  const proxies = new TrustedProxies([]);
  t.equal(proxies.clientAddress('10.0.0.1', '1.2.3.4'), '10.0.0.1');
  t.equal(proxies.clientAddress('::ffff:10.0.0.1', ''), '10.0.0.1');
  t.equal(proxies.clientAddress('', '1.2.3.4'), '');
});

t.test('a known proxy is, for the address that it saw itself', async (t) => {
  const proxies = new TrustedProxies(['10.0.0.0/8', '2001:db8::/32']);
  for (const [peer, said, client] of [
    ['10.0.0.1', '1.2.3.4', '1.2.3.4'],
    ['::ffff:10.0.0.1', ' 1.2.3.4 ', '1.2.3.4'],
    // What the client wrote stands before what the proxy wrote.
    ['10.0.0.1', '6.6.6.6, 1.2.3.4', '1.2.3.4'],
    ['10.0.0.1', '6.6.6.6, 1.2.3.4, 10.0.0.7', '1.2.3.4'],
    ['10.0.0.1', '10.0.0.9', '10.0.0.9'],
    ['10.0.0.1', 'nonsense', '10.0.0.1'],
    ['10.0.0.1', '', '10.0.0.1'],
    ['11.0.0.1', '1.2.3.4', '11.0.0.1'],
    ['2001:db8::1', '2001:4::5', '2001:4::5'],
    ['', '1.2.3.4', ''],
  ] as const) {
    t.equal(proxies.clientAddress(peer, said), client, `${peer}: ${said}`);
  }
});

t.test('a proxy by UNIX socket, when it is listed', async (t) => {
  t.equal(new TrustedProxies(['unix']).clientAddress('', '1.2.3.4'), '1.2.3.4');
  t.equal(new TrustedProxies(['127.0.0.1']).clientAddress('', '1.2.3.4'), '');
});

t.test('what is limited together', async (t) => {
  for (const [address, key] of [
    ['1.2.3.4', '1.2.3.4'],
    ['', ''],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8:1:2::6', '2001:db8:1:2'],
    ['2001:db8::6', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
  ] as const) {
    t.equal(addressKey(address), key, address);
  }
});
