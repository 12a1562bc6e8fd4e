import t from 'tap';
import { ChannelPreparation } from '../../../src/handoff/channel-preparation.ts';
import type { PeerMessage } from '../../../src/handoff/peer-messages.ts';

function follower() {
  let request = 0;
  const told: PeerMessage[] = [];
  return {
    told,
    begin: () =>
      new ChannelPreparation({
        tell: (message) => told.push(message),
        nextRequest: () => {
          request += 1;
          return request;
        },
      }),
  };
}

t.test('each channel is asked for once, and ready when the other worker says so', async (t) => {
  const { told, begin } = follower();
  const preparation = begin();
  const first = preparation.prepare(['a', 'b']);
  const second = preparation.prepare(['b', 'c']);
  t.same(told, [
    { kind: 'prepare', request: 1, channels: ['a', 'b'] },
    { kind: 'prepare', request: 2, channels: ['c'] },
  ]);
  t.notOk(preparation.isReady(['a']));
  preparation.onAnswer({ kind: 'prepared', request: 1 });
  await first;
  t.ok(preparation.isReady(['a', 'b']));
  preparation.onAnswer({ kind: 'prepared', request: 2 });
  await second;
  t.ok(preparation.isReady(['a', 'b', 'c']));
});

t.test('what could not be followed is asked for again', async (t) => {
  const { told, begin } = follower();
  const preparation = begin();
  const first = preparation.prepare(['a']);
  preparation.onAnswer({ kind: 'unprepared', request: 1, reason: 'the engine is away' });
  await t.rejects(first, { message: 'the engine is away' });
  t.notOk(preparation.isReady(['a']));
  const second = preparation.prepare(['a']);
  t.equal(told.length, 2);
  preparation.onAnswer({ kind: 'prepared', request: 2 });
  await second;
  t.ok(preparation.isReady(['a']));
});

t.test('an answer that comes after the end of a run is none to the next run', async (t) => {
  const { told, begin } = follower();
  const first = begin();
  const asked = first.prepare(['a']);
  first.close();
  await t.rejects(asked, { message: 'nothing more is moved' });
  await t.rejects(first.prepare(['b']), { message: 'nothing more is moved' });
  const second = begin();
  void second.prepare(['c']);
  second.onAnswer({ kind: 'prepared', request: 1 });
  t.notOk(second.isReady(['c']), 'the other worker has not said anything about it');
  t.same(told.at(-1), { kind: 'prepare', request: 2, channels: ['c'] });
});

t.test('ahead of those who need them: each once, a bounded number, and a failure is nobody’s', async (t) => {
  const { told, begin } = follower();
  const preparation = begin();
  preparation.prepareAhead(['a', 'b', 'a']);
  t.same(told, [{ kind: 'prepare', request: 1, channels: ['a', 'b'] }]);
  preparation.onAnswer({ kind: 'unprepared', request: 1, reason: 'away' });
  await new Promise(setImmediate);
  const needed = preparation.prepare(['a']);
  t.same(told.at(-1), { kind: 'prepare', request: 2, channels: ['a'] });
  preparation.onAnswer({ kind: 'prepared', request: 2 });
  await needed;
  preparation.prepareAhead(Array.from({ length: 2000 }, (_, i) => `c${i}`));
  const last = told.at(-1);
  t.equal(last?.kind === 'prepare' && last.channels.length, 1024);
});
