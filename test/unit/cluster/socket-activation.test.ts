import t from 'tap';
import { activatedSockets } from '../../../src/cluster/socket-activation.ts';

t.test('only what is meant for this process', async (t) => {
  const environment = { LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'public' };
  t.same(activatedSockets(environment, 7), [
    { kind: 'fd', fd: 3, name: 'public' },
    { kind: 'fd', fd: 4, name: '' },
  ]);
  t.same(activatedSockets(environment, 8), []);
  for (const LISTEN_FDS of ['', '0', '-1', 'x', '1.5'])
    t.same(activatedSockets({ ...environment, LISTEN_FDS }, 7), []);
  t.same(activatedSockets({}, 7), []);
});
