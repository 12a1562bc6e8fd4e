import t from 'tap';
import { createLogger, SECRET_FIELDS } from '../../../src/observe/logger.ts';

function capture(): { lines: string[]; write(line: string): void } {
  const lines: string[] = [];
  return { lines, write: (line) => lines.push(line) };
}

t.test('a line has level, role, slot and the facts as fields', async (t) => {
  const out = capture();
  createLogger({ level: 'info', role: 'worker', slot: 3, destination: out }).info(
    { channel: 'a' },
    'channel occupied',
  );
  t.match(JSON.parse(out.lines[0] ?? ''), {
    level: 'info',
    role: 'worker',
    node: 3,
    channel: 'a',
    msg: 'channel occupied',
    time: /^\d{4}-\d\d-\d\dT/,
  });
});

t.test('the level hides what is below it', async (t) => {
  const out = capture();
  const logger = createLogger({ level: 'warn', role: 'primary', destination: out });
  logger.info('nothing');
  logger.warn('something');
  t.equal(out.lines.length, 1);
  t.notOk('node' in JSON.parse(out.lines[0] ?? '{}'), 'the primary has no slot');
});

t.test('secrets are cut out at every depth they occur at', async (t) => {
  for (const field of SECRET_FIELDS) {
    const out = capture();
    const logger = createLogger({ level: 'info', role: 'worker', destination: out });
    logger.info({ [field]: 'hunter2' }, 'top');
    logger.info({ headers: { [field]: 'hunter2' } }, 'one down');
    logger.info({ req: { headers: { [field]: 'hunter2', kept: 'yes' } } }, 'two down');
    t.notMatch(out.lines.join(''), 'hunter2', field);
    t.equal(out.lines.join('').split('[redacted]').length - 1, 3, field);
    t.match(out.lines[2], '"kept":"yes"');
  }
});

t.test('tokens in a URL are cut out', async (t) => {
  const out = capture();
  const logger = createLogger({ level: 'info', role: 'worker', destination: out });
  logger.info({ url: '/connection/websocket?token=abc.def&format=protobuf&api_key=xyz' }, 'upgrade');
  t.match(JSON.parse(out.lines[0] ?? ''), {
    url: '/connection/websocket?token=[redacted]&format=protobuf&api_key=[redacted]',
  });
});

t.test('a child keeps fields and redaction', async (t) => {
  const out = capture();
  const logger = createLogger({ level: 'info', role: 'worker', slot: 1, destination: out });
  logger.child({ client: 'c1' }).info({ token: 'abc' }, 'connected');
  t.match(JSON.parse(out.lines[0] ?? ''), { node: 1, client: 'c1', token: '[redacted]' });
});
