// The embedded engine tells one worker of the host that a channel got its first subscriber or lost its last.
import t from 'tap';
import { startMemoryEngine } from '../../contract/memory-engine.ts';
import type { Scope } from '../../helpers/scope.ts';
import { waitFor } from '../../helpers/wait-for.ts';

async function setUp(scope: Scope) {
  const engine = await startMemoryEngine(scope);
  const told: string[] = [];
  const onOccupancy = (channel: string, isOccupied: boolean): void => {
    told.push(`${channel} ${isOccupied ? 'occupied' : 'vacated'}`);
  };
  return { told, client: () => engine.client({ onOccupancy }) };
}

t.test('the first subscriber occupies, the last one vacates, whoever they are', async (t) => {
  const { client, told } = await setUp(t);
  const [a, b] = [await client(), await client()];
  await a.broker.subscribe('room');
  await b.broker.subscribe('room');
  await a.broker.unsubscribe('room');
  await b.broker.subscribe('other');
  await waitFor('both are told', () => told.length === 2);
  t.same(told, ['room occupied', 'other occupied'], 'the second subscriber and the first leave are no news');
  await b.broker.unsubscribe('room');
  await waitFor('the end is told', () => told.length === 3);
  t.equal(told[2], 'room vacated');
});

t.test('what a worker leaves behind when it dies is told by another', async (t) => {
  const { client, told } = await setUp(t);
  const [a, b] = [await client(), await client()];
  await a.broker.subscribe('room');
  await waitFor('it is occupied', () => told.includes('room occupied'));
  await a.close();
  await waitFor('it is vacated', () => told.includes('room vacated'));
  await b.broker.subscribe('room');
  await waitFor('and occupied again', () => told.length === 3);
  t.same(told, ['room occupied', 'room vacated', 'room occupied']);
});
