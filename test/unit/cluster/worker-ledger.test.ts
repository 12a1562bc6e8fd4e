// What the primary counts of a worker, and which worker gets a request.
import t from 'tap';
import { lightest, WorkerLedger } from '../../../src/cluster/assignment/worker-ledger.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';

function ledger({ clients = 0, requests = 0, routed = true, overloaded = false } = {}) {
  const clock = new FakeClock();
  const process = { connected: true };
  const made = new WorkerLedger(process, clock);
  for (let count = 0; count < clients; count += 1) made.add('client');
  for (let count = 0; count < requests; count += 1) made.add('request');
  made.routed = routed;
  made.overloaded = overloaded;
  return { made, clock, process };
}

t.test('clients and requests are counted apart, what is internal not at all', async (t) => {
  const { made } = ledger({ clients: 2, requests: 3 });
  made.add('internal');
  made.takeBack('internal');
  made.takeBack('client');
  t.same([made.clients, made.requests], [1, 3]);
  made.ended({ closed: 0, answered: 2 });
  t.same([made.clients, made.requests], [1, 1]);
  made.ended({ closed: 1, answered: 0 });
  t.same([made.clients, made.requests], [0, 1]);
});

t.test('an end that is told twice makes nobody lighter than empty', async (t) => {
  const { made } = ledger({ clients: 1, requests: 1 });
  made.ended({ closed: 3, answered: 3 });
  t.same([made.clients, made.requests], [0, 0]);
});

t.test('who gets something at all', async (t) => {
  const { made, clock, process } = ledger({ routed: false });
  t.notOk(made.usable, 'not before it serves');
  made.routed = true;
  t.ok(made.usable && made.routable);
  made.overloaded = true;
  t.ok(made.usable, 'when there is no other one');
  t.notOk(made.routable);
  made.overloaded = false;
  made.suspended = true;
  t.notOk(made.usable);
  made.suspended = false;
  made.pause(1000);
  t.notOk(made.usable);
  clock.advance(1000);
  t.ok(made.usable);
  made.leaving = true;
  t.ok(made.answersStill);
  process.connected = false;
  t.notOk(made.usable || made.answersStill, 'its process is gone');
});

t.test(
  'a request goes where it waits for the fewest, clients decide between equals, overload comes last',
  async (t) => {
    const busy = ledger({ clients: 1, requests: 2 }).made;
    const full = ledger({ clients: 9, requests: 1 }).made;
    const next = ledger({ clients: 5, requests: 1 }).made;
    const overloaded = ledger({ overloaded: true }).made;
    const away = ledger({ routed: false }).made;
    t.equal(lightest([busy, full, overloaded, next, away]), next);
    t.equal(lightest([away, overloaded, busy]), busy);
    t.equal(lightest([away, overloaded]), overloaded);
    t.equal(lightest([away]), undefined);
  },
);
