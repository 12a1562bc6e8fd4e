// The tables of closes, errors and unsubscribes against the protocol page (§7, §8, §13), written out here.
import t from 'tap';
import {
  applicationCause,
  causeOfCode,
  CloseCauses,
  safeReason,
} from '../../../src/protocol/close-causes.ts';
import { ReplyErrors } from '../../../src/protocol/reply-errors.ts';
import { UnsubscribeCodes } from '../../../src/protocol/unsubscribe-codes.ts';
import { below, pick, seeded } from '../../helpers/random.ts';

const CLOSES: [code: number, reason: string][] = [
  [1001, 'going away'],
  [1002, 'protocol error'],
  [1007, 'invalid payload'],
  [1008, 'policy violation'],
  [1009, 'message too big'],
  [3000, 'connection closed'],
  [3001, 'shutdown'],
  [3004, 'internal server error'],
  [3005, 'connection expired'],
  [3006, 'subscription expired'],
  [3008, 'slow'],
  [3009, 'write error'],
  [3010, 'insufficient state'],
  [3011, 'force reconnect'],
  [3012, 'no pong'],
  [3013, 'too many requests'],
  [3014, 'state invalidated'],
  [3500, 'invalid token'],
  [3501, 'bad request'],
  [3502, 'stale'],
  [3503, 'force disconnect'],
  [3504, 'connection limit'],
  [3505, 'channel limit'],
  [3506, 'inappropriate protocol'],
  [3507, 'permission denied'],
  [3508, 'not available'],
  [3509, 'too many errors'],
];

const ERRORS: [code: number, message: string, temporary: boolean][] = [
  [100, 'internal server error', true],
  [101, 'unauthorized', false],
  [102, 'unknown channel', false],
  [103, 'permission denied', false],
  [104, 'method not found', false],
  [105, 'already subscribed', false],
  [106, 'limit exceeded', false],
  [107, 'bad request', false],
  [108, 'not available', false],
  [109, 'token expired', false],
  [110, 'expired', false],
  [111, 'too many requests', true],
  [112, 'unrecoverable position', false],
  [113, 'concurrent pagination', true],
];

const UNSUBSCRIBES: [code: number, reason: string][] = [
  [0, 'client unsubscribed'],
  [1, 'client disconnected'],
  [2000, 'server unsubscribe'],
  [2500, 'insufficient state'],
  [2501, 'subscription expired'],
  [2502, 'state invalidated'],
];

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

t.test('closes', async (t) => {
  const table = Object.values(CloseCauses);
  const actual = table
    .map(({ code, reason }) => [code, reason])
    .toSorted(([a], [b]) => Number(a) - Number(b));
  t.strictSame(actual, CLOSES);
  t.equal(new Set(table.map(({ name }) => name)).size, table.length, 'names are different');
  for (const { name, reason } of table) {
    t.match(name, /^[a-z_]+$/, `${name} is a metric label`);
    t.ok(Buffer.byteLength(reason) <= 123 && !isJson(reason), `${name}: plain words of at most 123 bytes`);
  }
});

t.test('errors', async (t) => {
  const table = Object.values(ReplyErrors);
  t.strictSame(
    table.map(({ code, message, temporary }) => [code, message, temporary]),
    ERRORS,
  );
});

t.test('unsubscribes', async (t) => {
  t.strictSame(
    Object.values(UnsubscribeCodes).map(({ code, reason }) => [code, reason]),
    UNSUBSCRIBES,
  );
});

t.test('reasons that an application chose', async (t) => {
  for (const [given, expected] of [
    ['plain words', 'plain words'],
    ['', ''],
    ['123', 'reason: 123'],
    ['true', 'reason: true'],
    ['null', 'reason: null'],
    ['"quoted"', 'reason: "quoted"'],
    ['{"reconnect":true}', 'reason: {"reconnect":true}'],
    ['x'.repeat(200), 'x'.repeat(123)],
    ['é'.repeat(100), 'é'.repeat(61)],
    ['1'.repeat(200), `reason: ${'1'.repeat(115)}`],
  ] as const) {
    t.equal(safeReason(given), expected, given.slice(0, 40));
  }
  t.equal(safeReason('x'.repeat(50_000_000)).length, 123, 'however long it is');
});

t.test('whatever an application says, the reason fits and is no JSON', async (t) => {
  const whole = ['1', '"', '{', '}', '[', ']', ' ', 'é', '😀', 'true', 'x', '\n', '-', '.5'];
  for (let seed = 1; seed <= 5_000; seed += 1) {
    const roll = seeded(seed);
    const pieces = seed % 2 === 0 ? whole : [...whole, '\ud800'];
    const given = Array.from({ length: below(roll, 140) }, () => pick(roll, pieces)).join('');
    const reason = safeReason(given);
    const wire = Buffer.from(reason);
    if (wire.length > 123) t.fail(`seed ${seed}: ${wire.length} bytes`);
    if (isJson(reason) || isJson(wire.toString())) t.fail(`seed ${seed}: ${reason} is JSON`);
    // Half a character would reach the client as a replacement sign.
    if (seed % 2 === 0 && wire.toString() !== reason) t.fail(`seed ${seed}: half a character`);
  }
  t.match(applicationCause(4_000, '5'), { name: 'application', code: 4_000, reason: 'reason: 5' });
});

t.test('a code that is known keeps its name', async (t) => {
  t.equal(causeOfCode(3503, ''), CloseCauses.forceDisconnect);
  t.equal(causeOfCode(3503, 'force disconnect'), CloseCauses.forceDisconnect);
  t.match(causeOfCode(3503, 'banned'), { name: 'force_disconnect', code: 3503, reason: 'banned' });
  t.match(causeOfCode(3000, ''), { name: 'application', code: 3000, reason: 'connection closed' });
  t.match(causeOfCode(4_321, 'bye'), { name: 'application', code: 4_321, reason: 'bye' });
});
