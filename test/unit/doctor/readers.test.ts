import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t from 'tap';
import {
  backs,
  fronts,
  globalSetting,
  haproxySetting,
  haproxyTimeMs,
  parseHaproxyConfig,
  servers,
} from '../../../src/doctor/read/haproxy-config.ts';
import { haproxyWords } from '../../../src/doctor/read/haproxy-words.ts';
import {
  conntrack,
  descriptorsOf,
  memory,
  portRange,
  sysctlNumber,
} from '../../../src/doctor/read/machine.ts';
import {
  readUnit,
  readUnitFile,
  unitLimit,
  unitSetting,
  unitTimeMs,
} from '../../../src/doctor/read/unit-file.ts';
import { tempDir } from '../../helpers/temp-dir.ts';

async function tree(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}

t.test('words of a line of haproxy.cfg', async (t) => {
  const environment = { HOST: '10.0.0.7', EMPTY: '' };
  const table: readonly (readonly [line: string, words: readonly string[]])[] = [
    ['  timeout  client 30s # thirty', ['timeout', 'client', '30s']],
    ['# only a comment', []],
    [`log-format '{"a":"#%ci"}'`, ['log-format', '{"a":"#%ci"}']],
    ['string "{\\"error\\":\\"x y\\"}"', ['string', '{"error":"x y"}']],
    ['a\\ b c\\#d', ['a b', 'c#d']],
    ['server a "${HOST}:8000"', ['server', 'a', '10.0.0.7:8000']],
    ['bind "${BIND-:443}" $HOST', ['bind', ':443', '10.0.0.7']],
    ['x ${EMPTY-y}z $', ['x', 'z', '$']],
    [`regex '^$HOST' ""`, ['regex', '^$HOST', '']],
  ];
  for (const [line, words] of table) t.same(haproxyWords(line, environment), words, line);
});

t.test('sections inherit from the defaults before them, or from those they name', async (t) => {
  const config = parseHaproxyConfig(
    `
global
  maxconn 10
  maxconn 20
defaults
  timeout client 1s
frontend a
  bind :80
  default_backend b
defaults slow
  timeout client 2s
frontend c
  bind :81
  timeout client 3s
  use_backend b if x
backend b
  default-server maxconn 5
  server s 10.0.0.1:1 maxconn 6
frontend d from slow
  bind :82
  default_backend b
frontend figures
  bind :84
  stats enable
`,
    'x.cfg',
  );
  t.equal(globalSetting(config, 'maxconn')?.words[1], '20', 'the last one holds');
  t.same(
    fronts(config).map((front) => [front.name, haproxySetting(front, 'timeout', 'client')?.words[2]]),
    [
      ['a', '1s'],
      ['c', '3s'],
      ['d', '2s'],
    ],
  );
  t.match(backs(config), [{ name: 'b' }]);
  t.match(backs(config).flatMap(servers), [
    { name: 's', address: '10.0.0.1:1', options: ['maxconn', '5', 'maxconn', '6'] },
  ]);
});

t.test('conditions of haproxy.cfg', async (t) => {
  const text = `
global
.if defined(A)
  a
.elif !defined(B)
  b
.else
  c
.endif
.if feature(OPENSSL)
  d
.endif
.else
`;
  const words = (environment: Record<string, string>): unknown =>
    parseHaproxyConfig(text, 'x.cfg', environment).sections[0]?.lines.map((line) => line.words[0]);
  t.same(words({ A: '1' }), ['a', 'd']);
  t.same(words({}), ['b', 'd'], 'what is not understood holds');
  t.same(words({ B: '1' }), ['c', 'd']);
});

t.test('times', async (t) => {
  t.same(['30s', '75000', '1m', '250us', 'soon'].map(haproxyTimeMs), [
    30_000,
    75_000,
    60_000,
    0.25,
    undefined,
  ]);
  t.same(['75', '1min 30s', '2h', '500ms', 'infinity', '1.5 hours', 'soon', '5 apples', ''].map(unitTimeMs), [
    75_000,
    90_000,
    7_200_000,
    500,
    Infinity,
    5_400_000,
    undefined,
    undefined,
    undefined,
  ]);
  t.same(['1024', '1024:4096', 'infinity', 'many'].map(unitLimit), [1_024, 4_096, Infinity, undefined]);
});

t.test('a unit with its drop-ins, by name, by instance and by file', async (t) => {
  const root = await tempDir(t);
  await tree(root, {
    'lib/systemd/system/gw@.service':
      '[Unit]\nDescription=x\n[Service]\nLimitNOFILE=1\nEnvironment=A=1\nExecStart=a \\\n b\n',
    'etc/systemd/system/gw@.service.d/20.conf': '[Service]\nLimitNOFILE=3\nEnvironment=\nEnvironment=B=1\n',
    'etc/systemd/system/gw@.service.d/10.conf': '[Service]\nLimitNOFILE=2\n',
    'etc/systemd/system/gw@.service.d/ignored.txt': '[Service]\nLimitNOFILE=9\n',
  });
  const unit = readUnit('gw@blue', root);
  t.equal(unitSetting(unit, 'LimitNOFILE'), '3');
  t.same(unit.settings.get('Service.Environment'), ['B=1'], 'an empty assignment empties the list');
  t.equal(unitSetting(unit, 'ExecStart'), 'a   b');
  t.equal(unit.settings.get('Unit.Description')?.[0], 'x');
  const file = readUnitFile(join(root, 'lib/systemd/system/gw@.service'));
  t.equal(unitSetting(file, 'LimitNOFILE'), '1');
  t.throws(() => readUnit('other', root), /no unit other\.service is installed here/);
  t.throws(() => readUnitFile(join(root, 'none')), /cannot be read/);
});

t.test('the machine', async (t) => {
  const root = await tempDir(t);
  await tree(root, {
    'proc/sys/net/core/somaxconn': '4096\n',
    'proc/sys/net/core/odd': 'x\n',
    'proc/sys/net/ipv4/ip_local_port_range': '1024\t65535\n',
    'proc/sys/net/ipv4/ip_local_reserved_ports': '8000,9000-9010\n',
    'proc/meminfo': 'MemTotal:       1000 kB\nMemAvailable:    600 kB\n',
    'proc/7/limits':
      'Limit   Soft  Hard  Units\nMax open files            1024                 524288               files\n',
    'proc/8/limits': 'nothing\n',
  });
  t.equal(sysctlNumber('net.core.somaxconn', root), 4_096);
  t.throws(() => sysctlNumber('net.core.other', root), /net\.core\.other cannot be read here/);
  t.throws(() => sysctlNumber('net.core.odd', root), /no number/);
  t.same(portRange(root), {
    from: 1_024,
    to: 65_535,
    reserved: [
      [8_000, 8_000],
      [9_000, 9_010],
    ],
  });
  t.same(conntrack(root), { loaded: false, max: Infinity });
  await tree(root, { 'proc/sys/net/netfilter/nf_conntrack_max': '262144\n' });
  t.same(conntrack(root), { loaded: true, max: 262_144 });
  t.same(memory(root), { totalBytes: 1_024_000, availableBytes: 614_400 });
  t.same(descriptorsOf(7, 'it', root), { hard: 524_288, of: 'it' });
  t.throws(() => descriptorsOf(8, 'it', root), /do not name open files/);
  t.throws(() => descriptorsOf(9, 'it', root), /cannot be read/);
});
