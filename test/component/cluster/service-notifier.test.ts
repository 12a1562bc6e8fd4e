// What the service manager is told: a program in the place of systemd-notify writes it down.
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ServiceNotifier } from '../../../src/cluster/service-notifier.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import type { Scope } from '../../helpers/scope.ts';
import { tempDir } from '../../helpers/temp-dir.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const logger = createLogger({ level: 'silent', role: 'primary' });

interface Recorder {
  readonly program: string;
  readonly lines: () => string[];
}

async function recorder(scope: Scope): Promise<Recorder> {
  const directory = await tempDir(scope);
  const log = join(directory, 'log');
  const program = join(directory, 'notify');
  writeFileSync(program, `#!/bin/sh\nprintf '%s|' "$@" >> ${log}\necho >> ${log}\n`);
  chmodSync(program, 0o755);
  return {
    program,
    lines: () => (existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : []),
  };
}

t.test('systemd hears everything, in order', async (t) => {
  const { program, lines } = await recorder(t);
  const notifier = new ServiceNotifier({
    environment: { NOTIFY_SOCKET: '/run/notify' },
    logger,
    sendToParent: undefined,
    program,
  });
  notifier.ready('serving at :8000');
  notifier.status('2 workers');
  notifier.reloading('new configuration');
  notifier.stopping('draining');
  await notifier.close();
  t.same(lines(), [
    'READY=1|STATUS=serving at :8000|',
    'STATUS=2 workers|',
    'RELOADING=1|STATUS=new configuration|',
    'STOPPING=1|STATUS=draining|',
  ]);
});

t.test('the watchdog is fed while all is well', async (t) => {
  const { program, lines } = await recorder(t);
  const notifier = new ServiceNotifier({
    environment: { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '40000', WATCHDOG_PID: String(process.pid) },
    logger,
    sendToParent: undefined,
    program,
  });
  let isWell = true;
  let asked = 0;
  notifier.startWatchdog(() => {
    asked += 1;
    return isWell;
  });
  await waitFor('two words', () => lines().filter((line) => line === 'WATCHDOG=1|').length >= 2);
  isWell = false;
  const askedBefore = asked;
  await waitFor('it to be asked again', () => asked >= askedBefore + 2);
  await notifier.close();
  const { length } = lines();
  t.ok(asked > length, `asked ${asked} times, said ${length} times`);
});

t.test('without systemd or pm2 nothing is said, and a watchdog of others is not fed', async (t) => {
  const { program, lines } = await recorder(t);
  const said: string[] = [];
  const sendToParent = (message: string): number => said.push(message);
  const alone = new ServiceNotifier({ environment: {}, logger, sendToParent, program });
  alone.ready('serving');
  await alone.close();
  const environment = { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '2000', WATCHDOG_PID: '1' };
  const other = new ServiceNotifier({ environment, logger, sendToParent, program });
  other.startWatchdog(() => {
    throw new Error('asked for the sake of another process');
  });
  other.status('well');
  await waitFor('the status', () => lines().length === 1);
  await other.close();
  t.same(said, []);
  t.same(lines(), ['STATUS=well|']);
});

t.test('pm2 hears ready; a missing program harms nobody', async (t) => {
  const said: string[] = [];
  const notifier = new ServiceNotifier({
    environment: { pm_id: '0', NOTIFY_SOCKET: '/run/notify' },
    logger,
    sendToParent: (message) => said.push(message),
    program: '/nonexistent/systemd-notify',
  });
  notifier.ready('serving');
  await notifier.close();
  t.same(said, ['ready']);
});
