import t from 'tap';
import { ConnectionReport } from '../../../src/cluster/connection-report.ts';
import type { ToPrimary } from '../../../src/cluster/ipc.ts';
import { waitFor } from '../../helpers/wait-for.ts';

function report(): { posted: ToPrimary[]; connections: ConnectionReport } {
  const posted: ToPrimary[] = [];
  return { posted, connections: new ConnectionReport((message) => posted.push(message)) };
}

void t.test('what happens within a moment is one message', async (t) => {
  const { posted, connections } = report();
  connections.bindSid('first');
  connections.closed();
  connections.closed();
  t.same(posted, [], 'not at once');
  await waitFor('the report', () => posted.length > 0);
  t.same(posted, [{ type: 'connections', closed: 2, answered: 0, boundSids: ['first'], unboundSids: [] }]);
  connections.unbindSid('first');
  await waitFor('the next report', () => posted.length > 1);
  t.same(posted[1], { type: 'connections', closed: 0, answered: 0, boundSids: [], unboundSids: ['first'] });
});

void t.test('the last word about a sid counts', async (t) => {
  const { posted, connections } = report();
  connections.bindSid('back');
  connections.unbindSid('back');
  connections.bindSid('back');
  connections.bindSid('gone');
  connections.unbindSid('gone');
  connections.flush();
  t.same(posted, [
    { type: 'connections', closed: 0, answered: 0, boundSids: ['back'], unboundSids: ['gone'] },
  ]);
});

void t.test('at the end everything is said, once', async (t) => {
  const { posted, connections } = report();
  connections.closed();
  connections.answered();
  connections.flush();
  connections.flush();
  t.same(posted, [{ type: 'connections', closed: 1, answered: 1, boundSids: [], unboundSids: [] }]);
});
