import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { Outbox, type OutboxCounters } from '../../../src/connection/outbox.ts';
import type { Transport } from '../../../src/connection/transport.ts';
import { WireFormats } from '../../../src/protocol/wire-format.ts';
import { below, seeded } from '../../helpers/random.ts';

class Pipe implements Transport {
  readonly kind = 'websocket';
  readonly format = WireFormats.websocketJson;
  readonly writes: Buffer[] = [];
  pendingBytes = 0;
  /** Whether the next write asks for a pause. */
  wantsPause: () => boolean = () => false;

  write(frames: Buffer): boolean {
    this.writes.push(frames);
    return !this.wantsPause();
  }

  pauseReading(): void {}
  resumeReading(): void {}
  close(): void {}
  destroy(): void {}
}

interface Bench {
  readonly outbox: Outbox;
  readonly pipe: Pipe;
  readonly counters: OutboxCounters;
}

function bench(maxBytes = 1_000_000, maxFrames = 1_000): Bench {
  const counters = { sums: { messagesOut: 0, bytesOut: 0, queuedBytes: 0 }, dropped: { value: 0 } };
  return { outbox: new Outbox({ maxBytes, maxFrames }, counters), pipe: new Pipe(), counters };
}

function frame(text: string): Buffer {
  return Buffer.from(text);
}

t.test('frames of one turn leave in one write, in order', async (t) => {
  const { outbox, pipe, counters } = bench();
  for (const text of ['one ', 'two ', 'three']) outbox.push(frame(text), 'publication', pipe);
  t.equal(outbox.queuedBytes, 13);
  t.equal(counters.sums.queuedBytes, 13);
  outbox.flush(pipe);
  t.strictSame(pipe.writes.map(String), ['one two three']);
  t.equal(outbox.queuedBytes, 0);
  t.ok(outbox.isEmpty);
  t.strictSame(counters.sums, { messagesOut: 3, bytesOut: 13, queuedBytes: 0 });
});

t.test('a single frame is written as it is: its bytes are shared by all who get it', async (t) => {
  const { outbox, pipe } = bench();
  const shared = frame('shared');
  outbox.push(shared, 'publication', pipe);
  outbox.flush(pipe);
  t.equal(pipe.writes[0], shared);
});

t.test('much goes out in pieces, so that a slow reader shows progress', async (t) => {
  const { outbox, pipe } = bench();
  for (let n = 0; n < 10; n += 1) outbox.push(Buffer.alloc(5_000, n), 'publication', pipe);
  outbox.push(Buffer.alloc(40_000, 10), 'publication', pipe);
  outbox.flush(pipe);
  t.strictSame(
    pipe.writes.map(({ length }) => length),
    [15_000, 15_000, 15_000, 5_000, 40_000],
  );
});

t.test('a pause holds everything back until it ends', async (t) => {
  const { outbox, pipe } = bench();
  pipe.wantsPause = () => true;
  outbox.push(frame('a'), 'publication', pipe);
  outbox.flush(pipe);
  t.ok(outbox.isBlocked);
  t.ok(outbox.takeProgress(), 'nobody has asked before');
  t.notOk(outbox.takeProgress());
  outbox.push(frame('b'), 'publication', pipe);
  outbox.flush(pipe);
  t.strictSame(pipe.writes.map(String), ['a']);
  pipe.wantsPause = () => false;
  outbox.drained(pipe);
  t.strictSame(pipe.writes.map(String), ['a', 'b']);
  t.notOk(outbox.isBlocked);
  t.ok(outbox.takeProgress());
  t.notOk(outbox.takeProgress());
});

t.test('limits: bytes (with what the transport holds), frames, and control beyond both', async (t) => {
  const bytes = bench(100);
  t.ok(bytes.outbox.push(Buffer.alloc(60), 'publication', bytes.pipe));
  t.notOk(bytes.outbox.push(Buffer.alloc(41), 'reply', bytes.pipe));
  t.equal(bytes.outbox.queuedBytes, 60, 'the frame was not taken');
  t.ok(bytes.outbox.push(Buffer.alloc(40), 'reply', bytes.pipe));
  t.ok(bytes.outbox.push(Buffer.alloc(500), 'control', bytes.pipe));

  const held = bench(100);
  held.pipe.pendingBytes = 90;
  t.notOk(held.outbox.push(Buffer.alloc(11), 'publication', held.pipe));
  t.ok(held.outbox.push(Buffer.alloc(10), 'publication', held.pipe));

  const frames = bench(100, 2);
  t.ok(frames.outbox.push(frame(''), 'publication', frames.pipe));
  t.ok(frames.outbox.push(frame(''), 'publication', frames.pipe));
  t.notOk(frames.outbox.push(frame(''), 'publication', frames.pipe));
  t.ok(frames.outbox.push(frame(''), 'control', frames.pipe));
});

t.test('its end counts what it throws away, and nothing is taken any more', async (t) => {
  const { outbox, pipe, counters } = bench();
  outbox.push(frame('abc'), 'publication', pipe);
  outbox.push(frame('de'), 'publication', pipe);
  outbox.end();
  t.equal(counters.dropped.value, 2);
  t.ok(outbox.push(frame('too late'), 'publication', pipe), 'which is no slow consumer');
  outbox.end();
  t.equal(counters.dropped.value, 2);
  t.equal(counters.sums.queuedBytes, 0);
  t.ok(outbox.isEmpty);
  outbox.flush(pipe);
  t.strictSame(pipe.writes, []);
});

t.test('any course of pushes, pauses and drains keeps order, sums and limits', async (t) => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const roll = seeded(seed);
    const { outbox, pipe, counters } = bench(40_000, 50);
    const accepted: Buffer[] = [];
    let acceptedBytes = 0;
    pipe.wantsPause = () => roll() < 0.3;
    const check = (what: string): void => {
      const { bytesOut, queuedBytes } = counters.sums;
      if (bytesOut + outbox.queuedBytes !== acceptedBytes) t.fail(`seed ${seed}: ${what}: bytes`);
      if (queuedBytes !== outbox.queuedBytes) t.fail(`seed ${seed}: ${what}: queued`);
      if (outbox.isEmpty !== (queuedBytes === 0)) t.fail(`seed ${seed}: ${what}: empty`);
      if (queuedBytes > 40_000) t.fail(`seed ${seed}: ${what}: limit`);
    };
    for (let step = 0; step < 400; step += 1) {
      const what = `step ${step}`;
      const dice = roll();
      if (dice < 0.7) {
        const bytes = Buffer.alloc(1 + below(roll, roll() < 0.1 ? 20_000 : 300), step % 251);
        const mustFit = outbox.queuedBytes + bytes.length <= 40_000;
        const taken = outbox.push(bytes, 'publication', pipe);
        if (taken) {
          accepted.push(bytes);
          acceptedBytes += bytes.length;
        }
        if (taken && !mustFit) t.fail(`seed ${seed}: ${what}: taken beyond the limit`);
      } else if (dice < 0.85) outbox.flush(pipe);
      else if (outbox.isBlocked) outbox.drained(pipe);
      check(what);
    }
    pipe.wantsPause = () => false;
    outbox.drained(pipe);
    check('the end');
    if (!Buffer.concat(pipe.writes).equals(Buffer.concat(accepted))) t.fail(`seed ${seed}: order`);
    t.strictSame(
      { empty: outbox.isEmpty, queued: counters.sums.queuedBytes, messages: counters.sums.messagesOut },
      { empty: true, queued: 0, messages: accepted.length },
      `seed ${seed}: everything went out and nothing is left`,
    );
  }
});

t.test('a peer that is always a little behind keeps no written frame in memory', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect !== 'function') throw new Error('no garbage collector at hand');
  const { outbox, pipe } = bench();
  pipe.wantsPause = () => true;
  const written: WeakRef<Buffer>[] = [];
  const step = (): void => {
    const bytes = Buffer.alloc(10_000);
    written.push(new WeakRef(bytes));
    outbox.push(bytes, 'publication', pipe);
    if (written.length > 5) outbox.drained(pipe);
    pipe.writes.length = 0;
  };
  for (let n = 0; n < 200; n += 1) {
    step();
    // WeakRefs let go only between turns.
    await new Promise(setImmediate);
  }
  t.notOk(outbox.isEmpty);
  collect();
  const alive = written.filter((reference) => reference.deref() !== undefined).length;
  t.ok(alive <= outbox.queuedBytes / 10_000 + 2, `${alive} frames alive, ${outbox.queuedBytes} bytes queued`);
});
