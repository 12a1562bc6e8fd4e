// Whoever gave an order hears how it ends, also when the worker says nothing more.
import t from 'tap';
import type { ToPrimary, ToWorker } from '../../../src/cluster/ipc.ts';
import type { MovePeer } from '../../../src/cluster/moves/move-relay.ts';
import { OrderedMoves } from '../../../src/cluster/moves/ordered-moves.ts';

class Peer implements MovePeer {
  readonly connected = true;
  readonly pid: number;
  readonly posted: ToWorker[] = [];

  constructor(pid: number) {
    this.pid = pid;
  }

  post(message: ToWorker): void {
    this.posted.push(message);
  }

  deliver(): void {
    // Nothing is sent in these tests.
  }
}

const report = (moved: number, ended: string | null, number = 1): ToPrimary => {
  return { type: 'moves', number, moved, left: 3, ended, refused: false };
};

t.test('one connection is asked for by its sid', async (t) => {
  const [from, to] = [new Peer(1), new Peer(2)];
  const moves = new OrderedMoves();
  const ended = moves.run(from, to, () => undefined, { sid: 'abc' });
  t.same(from.posted, [{ type: 'move', number: 1, to: 2, sid: 'abc', part: null }]);
  moves.message(from, report(1, ''));
  t.match(await ended, { moved: 1, ended: '' });
});

t.test('a worker that is silent is told to stop, and waited for no longer', async (t) => {
  const [from, to] = [new Peer(1), new Peer(2)];
  const moves = new OrderedMoves();
  moves.giveUp('nothing is under way');
  const ended = moves.run(from, to, () => undefined);
  moves.message(from, report(2, null));
  moves.giveUp('it takes too long');
  t.match(await ended, { moved: 2, left: 3, ended: 'it takes too long' });
  t.same(
    from.posted.map(({ type }) => type),
    ['move', 'move-stop'],
  );
});

t.test('what a worker says of an order that was given up is not taken for the next one', async (t) => {
  const [from, to] = [new Peer(1), new Peer(2)];
  const moves = new OrderedMoves();
  const given = moves.run(from, to, () => undefined);
  moves.giveUp('it takes too long');
  await given;
  const seen: number[] = [];
  const next = moves.run(from, to, ({ moved }) => seen.push(moved));
  moves.message(from, report(7, 'stopped'));
  moves.message(from, report(1, null, 2));
  moves.message(from, report(2, '', 2));
  t.match(await next, { number: 2, moved: 2, ended: '' });
  t.same(seen, [1, 2]);
});
