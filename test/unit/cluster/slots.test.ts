import t from 'tap';
import { type Slot, Slots } from '../../../src/cluster/slots.ts';
import { WorkerProcess } from '../../../src/cluster/worker-process.ts';

const facts = { config: null, engineSocketPath: '' };

function running(slot: Slot): WorkerProcess {
  const process: WorkerProcess = Object.create(WorkerProcess.prototype);
  slot.process = process;
  slot.incarnation += 1;
  return process;
}

const roles = (slots: Slots): readonly string[] =>
  slots.views().map(({ slot, role, incarnation }) => `${slot} ${role} ${incarnation}`);

t.test('a successor takes the slot over, and the one before it stays known until it is gone', async (t) => {
  const slots = new Slots();
  const first = slots.add(1, facts);
  slots.add(2, facts);
  const old = running(first);
  const next = slots.addSuccessor(1, facts);
  const young = running(next);
  t.same(roles(slots), ['1 main 1', '2 main 0', '1 successor 2']);
  t.equal(slots.numbered(1), first);

  t.equal(slots.takeOver(next), first);
  t.same(roles(slots), ['1 main 2', '2 main 0', '1 retired 1']);
  t.equal(slots.numbered(1), next);
  t.equal(slots.of(old), first);
  t.equal(slots.of(young), next);

  t.equal(slots.takeOver(first), next, 'the way back');
  t.same(roles(slots), ['1 main 1', '2 main 0', '1 retired 2']);
  slots.remove(next);
  t.same(roles(slots), ['1 main 1', '2 main 0']);
  t.equal(slots.of(young), undefined);
});

t.test('one that has no process is forgotten when it is replaced', async (t) => {
  const slots = new Slots();
  const first = slots.add(1, facts);
  const next = slots.addSuccessor(1, facts);
  running(next);
  t.equal(slots.takeOver(next), first);
  t.same(roles(slots), ['1 main 1']);
});

t.test('a successor of a slot that nobody has becomes it', async (t) => {
  const slots = new Slots();
  const next = slots.addSuccessor(3, facts);
  running(next);
  t.equal(slots.takeOver(next), undefined);
  t.same(roles(slots), ['3 main 1']);
  t.same(slots.main(), [next]);
});
