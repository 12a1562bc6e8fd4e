import t from 'tap';
import { editDistance, nearest, nearestOption } from '../../../src/config/suggest.ts';

t.test('edit distance counts insertions, deletions, replacements and swaps of neighbours', async (t) => {
  const table: readonly (readonly [left: string, right: string, distance: number])[] = [
    ['', '', 0],
    ['', 'abc', 3],
    ['port', 'port', 0],
    ['prt', 'port', 1],
    ['ports', 'port', 1],
    ['pord', 'port', 1],
    ['prot', 'port', 1],
    ['kitten', 'sitting', 3],
  ];
  for (const [left, right, distance] of table) {
    t.equal(editDistance(left, right), distance, `${left} ${right}`);
    t.equal(editDistance(right, left), distance, `${right} ${left}`);
  }
});

t.test('nearest answers only when a candidate is near enough to be meant', async (t) => {
  const candidates = ['port', 'address', 'internal_port'];
  t.equal(nearest('prot', candidates), 'port');
  t.equal(nearest('adress', candidates), 'address');
  t.equal(nearest('INTERNAL_PORT', candidates), 'internal_port');
  t.equal(nearest('unix_socket', candidates), undefined);
});

t.test('an unknown option is looked for beside it, then elsewhere', async (t) => {
  const known = [
    ['http_server', 'port'],
    ['http_server', 'internal_port'],
    ['client', 'ping_interval'],
    ['client', 'token', 'hmac_secret_key'],
    ['channel', 'namespaces', '[]', 'presence'],
    ['http_api', 'key'],
  ];
  const table: readonly (readonly [path: string[], expected: string[] | undefined])[] = [
    [
      ['client', 'ping_intervall'],
      ['client', 'ping_interval'],
    ],
    [['cleint'], ['client']],
    [
      ['channel', 'namespaces', '[]', 'presense'],
      ['channel', 'namespaces', '[]', 'presence'],
    ],
    [['hmac_secret_key'], ['client', 'token', 'hmac_secret_key']],
    [['token_hmac_secret_key'], ['client', 'token', 'hmac_secret_key']],
    [
      ['client', 'internal_port'],
      ['http_server', 'internal_port'],
    ],
    [['api_key'], ['http_api', 'key']],
    [['something_else_altogether'], undefined],
  ];
  for (const [path, expected] of table) t.same(nearestOption(path, known), expected, path.join('.'));
});
