// What every NodeBus must do, whatever engine is behind it.
import type { Test } from 'tap';
import { UnavailableError } from '../../src/util/errors.ts';
import { deferred } from '../helpers/deferred.ts';
import { waitFor, within } from '../helpers/wait-for.ts';
import type { EngineFactory } from './engine-under-test.ts';

const SOON_MS = 300;
const LONG_MS = 10_000;

const byNode = (x: { node: string }, y: { node: string }): number => (x.node < y.node ? -1 : 1);

export function nodeBusContract(t: Test, name: string, factory: EngineFactory): void {
  t.test(`${name}: a message reaches the node it is addressed to, and only that`, async (t) => {
    const engine = await factory(t);
    const [a, b, c] = [await engine.client(), await engine.client(), await engine.client()];
    const got: unknown[] = [];
    b.nodes.handle('hello', (payload, from) => got.push({ payload, from }));
    c.nodes.handle('hello', () => got.push('c'));
    a.nodes.handle('hello', () => got.push('a'));
    t.equal(new Set([a, b, c].map(({ nodes }) => nodes.node)).size, 3);
    t.ok(a.nodes.node.length >= 16);
    const payload = { n: 1, text: 'ü🙂', list: [null, true] };
    t.equal(await a.nodes.send(b.nodes.node, 'hello', payload), true);
    await waitFor('the message', () => got.length > 0);
    t.same(got, [{ payload, from: a.nodes.node }]);
    t.equal(await a.nodes.send('no-such-node-anywhere', 'hello', 1), false);
    t.equal(await a.nodes.send('nodes', 'hello', 1), false, 'no name stands for all');
    t.equal(await a.nodes.send(a.nodes.node, 'hello', 1), true);
    await waitFor('the message to itself', () => got.includes('a'));
    t.same(got.slice(1), ['a']);
  });

  t.test(`${name}: messages of one node arrive in order`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    const got: unknown[] = [];
    b.nodes.handle('count', (payload) => got.push(payload));
    const numbers = Array.from({ length: 100 }, (_, index) => index);
    await Promise.all(numbers.map((number) => a.nodes.send(b.nodes.node, 'count', number)));
    await waitFor('all messages', () => got.length === 100);
    t.same(got, numbers);
  });

  t.test(`${name}: a broadcast reaches every node, the sender included`, async (t) => {
    const engine = await factory(t);
    const all = await Promise.all(Array.from({ length: 3 }, () => engine.client()));
    const got: string[] = [];
    for (const { nodes } of all)
      nodes.handle('hello', (payload, from) => got.push(`${from} ${String(payload)}`));
    await all[1]?.nodes.broadcast('hello', 'x');
    await waitFor('all nodes', () => got.length === 3);
    t.ok(got.every((line) => line === `${String(all[1]?.nodes.node)} x`));
  });

  t.test(`${name}: a survey gathers the answers of all nodes`, async (t) => {
    const engine = await factory(t);
    const all = await Promise.all(Array.from({ length: 3 }, () => engine.client()));
    all.forEach(({ nodes }, index) => {
      nodes.handle('count', (payload) => ({ index, payload }));
      nodes.handle('later', async () => {
        await Promise.resolve();
        return undefined;
      });
    });
    const [asking] = all;
    const result = await asking?.nodes.survey('count', ['q'], LONG_MS);
    const expected = all.map(({ nodes }, index) => ({ node: nodes.node, result: { index, payload: ['q'] } }));
    t.same(result?.answers.toSorted(byNode), expected.toSorted(byNode));
    t.same(result?.missing, []);
    const later = await asking?.nodes.survey('later', null, LONG_MS);
    t.same(
      later?.answers.map((answer) => answer.result),
      [null, null, null],
      'nothing travels as null',
    );
  });

  t.test(`${name}: a survey names the nodes that fail, do not know it, or are slow`, async (t) => {
    const engine = await factory(t);
    const [a, failing, ignorant, slow] = await Promise.all(Array.from({ length: 4 }, () => engine.client()));
    if (a === undefined || failing === undefined || ignorant === undefined || slow === undefined) return;
    const { promise, resolve } = deferred<string>();
    a.nodes.handle('ask', () => 1);
    failing.nodes.handle('ask', () => {
      throw new Error('no');
    });
    slow.nodes.handle('ask', () => promise);
    const { answers, missing } = await a.nodes.survey('ask', null, SOON_MS);
    t.same(answers, [{ node: a.nodes.node, result: 1 }]);
    t.same(missing.toSorted(), [failing.nodes.node, ignorant.nodes.node, slow.nodes.node].toSorted());
    resolve('too late');
    const again = await a.nodes.survey('ask', null, LONG_MS);
    t.same(again.missing.toSorted(), [failing.nodes.node, ignorant.nodes.node].toSorted());
  });

  t.test(`${name}: a node that ended is not there any more`, async (t) => {
    const engine = await factory(t);
    const [a, b] = [await engine.client(), await engine.client()];
    a.nodes.handle('ask', () => 'a');
    await b.close();
    await waitFor('the node to go', async () => {
      await engine.elapse(1000);
      return !(await a.nodes.send(b.nodes.node, 'hello', 1));
    });
    t.same(await a.nodes.survey('ask', null, LONG_MS), {
      answers: [{ node: a.nodes.node, result: 'a' }],
      missing: [],
    });
  });

  t.test(
    `${name}: without the engine everything rejects within a second, and works again after`,
    async (t) => {
      const engine = await factory(t);
      const [a, b] = [await engine.client(), await engine.client()];
      b.nodes.handle('ask', () => 'b');
      a.nodes.handle('ask', () => 'a');
      await engine.stop();
      const attempts: readonly Promise<unknown>[] = [
        a.nodes.send(b.nodes.node, 'x', 1),
        a.nodes.broadcast('x', 1),
        a.nodes.survey('ask', null, LONG_MS),
      ];
      for (const attempt of attempts) await t.rejects(within('a rejection', attempt), UnavailableError);
      await engine.start();
      await waitFor('both nodes', async () => {
        const result = await a.nodes.survey('ask', null, LONG_MS).catch(() => undefined);
        return result?.answers.length === 2;
      });
    },
  );
}
