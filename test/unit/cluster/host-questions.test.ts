import t from 'tap';
import { HostQuestions } from '../../../src/cluster/host-questions.ts';
import type { CollectedAnswer, ToPrimary } from '../../../src/cluster/ipc.ts';

function host(): { posted: ToPrimary[]; questions: HostQuestions } {
  const posted: ToPrimary[] = [];
  return { posted, questions: new HostQuestions((message) => posted.push(message)) };
}

const answer = (value: unknown): CollectedAnswer => ({ from: 'worker-0', pid: 1, value });

void t.test('questions in flight are told apart', async (t) => {
  const { posted, questions } = host();
  const first = questions.collect('facts');
  const second = questions.collect('metrics', { of: 'engine' });
  t.same(posted, [
    { type: 'collect', id: 1, kind: 'facts', params: null },
    { type: 'collect', id: 2, kind: 'metrics', params: { of: 'engine' } },
  ]);
  questions.onCollected(2, [answer('two')]);
  questions.onCollected(1, []);
  t.same(await second, [answer('two')]);
  t.same(await first, []);
  questions.onCollected(1, [answer('late')]);
});

void t.test('nobody waits for ever', async (t) => {
  const stuck = host();
  const unanswered = t.rejects(stuck.questions.collect('facts'), { message: 'the primary did not answer' });
  const ending = host();
  const cutOff = t.rejects(ending.questions.collect('facts'), { message: 'this worker ends' });
  ending.questions.close();
  await cutOff;
  await unanswered;
});

void t.test('this process answers what it knows', async (t) => {
  const { posted, questions } = host();
  questions.answer('double', (params) => Promise.resolve(Number(params) * 2));
  questions.answer('trouble', () => {
    throw new Error('out of order');
  });
  await questions.onQuestion(7, 'double', 21);
  t.same(posted, [{ type: 'answer', id: 7, value: 42 }]);
  await questions.onQuestion(8, 'unheard of', null);
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
  await questions.onQuestion(9, 'trouble', null);
  t.match((await warned).message, /'trouble' failed: Error: out of order/);
  t.equal(posted.length, 1, 'no answer is an answer: the primary counts who is missing');
});
