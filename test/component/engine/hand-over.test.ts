// The embedded engine goes from one primary to another, or does not: at no time do two of them answer, and whoever is not the
// gateway leaves the socket and the snapshot alone.
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { EmbeddedEngine } from '../../../src/app/embedded-engine.ts';
import { MemoryEngineClient } from '../../../src/engine/memory/engine-client.ts';
import type { StreamPosition } from '../../../src/protocol/publication.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import { systemClock } from '../../../src/util/clock.ts';
import type { Scope } from '../../helpers/scope.ts';
import { tempDir } from '../../helpers/temp-dir.ts';

const KEPT = { historySize: 100, historyTtlMs: 60_000, historyMetaTtlMs: 60_000 };

interface Place {
  readonly directory: string;
  readonly path: string;
  readonly snapshotFile: string;
  readonly engine: () => EmbeddedEngine;
  /** Of somebody who links now: offset and epoch of what it publishes. */
  readonly publish: () => Promise<StreamPosition>;
}

async function place(scope: Scope): Promise<Place> {
  const directory = await tempDir(scope);
  const path = join(directory, 'engine.sock');
  const snapshotFile = join(directory, 'snapshot');
  return {
    directory,
    path,
    snapshotFile,
    engine: () => {
      const engine = new EmbeddedEngine({
        clock: systemClock,
        path,
        newEpoch: randomUUID,
        logger: createLogger({ level: 'silent', role: 'primary' }),
        snapshotFile,
      });
      scope.teardown(() => engine.close(true));
      return engine;
    },
    publish: async () => {
      const client = new MemoryEngineClient({
        clock: systemClock,
        random: Math.random,
        path,
        node: randomUUID(),
        listener: {
          onPublication: () => undefined,
          onJoin: () => undefined,
          onLeave: () => undefined,
          onInterruption: () => undefined,
        },
      });
      try {
        await client.connect();
        return (await client.broker.publish('kept', { data: Buffer.from('x') }, KEPT)).position;
      } finally {
        await client.close();
      }
    },
  };
}

/** Gives all of it; `answer` is what becomes of the answer of the other one. */
async function give(
  from: EmbeddedEngine,
  to: EmbeddedEngine,
  answer: (file: string) => string,
): Promise<void> {
  const pieces: Buffer[] = [];
  await from.giveAway(
    (bytes) => pieces.push(Buffer.from(bytes)),
    async (nodes) => answer(await to.takeOver(pieces, nodes)),
  );
}

const tooLate = (): never => {
  throw new Error('too late');
};

t.test('given: it goes on there, and who has given it removes nothing', async (t) => {
  const { engine, publish, path, snapshotFile } = await place(t);
  const [old, next] = [engine(), engine()];
  await old.listen();
  const before = await publish();
  await give(old, next, (file) => file);
  await next.settle();
  t.match(await publish(), { offset: 2, epoch: before.epoch });
  await old.close(true);
  t.notOk(existsSync(snapshotFile));
  t.match(await publish(), { offset: 3 });
  await next.close(false);
  t.notOk(existsSync(path));
  t.ok(existsSync(snapshotFile), 'it is the gateway');
});

t.test('answered too late: the old one goes on, and the other one leaves nothing', async (t) => {
  const { engine, publish, directory, snapshotFile } = await place(t);
  const [old, next] = [engine(), engine()];
  await old.listen();
  const before = await publish();
  await t.rejects(give(old, next, tooLate), /too late/);
  t.match(await publish(), { offset: 2, epoch: before.epoch });
  await old.restart();
  await next.close(true);
  t.match(await publish(), { offset: 3 }, 'by the one that has always served');
  t.same(await readdir(directory), ['engine.sock']);
  t.notOk(existsSync(snapshotFile));
});

t.test(
  'given in vain: the old one begins anew, and the end of the other one takes nothing away',
  async (t) => {
    const { engine, publish, snapshotFile } = await place(t);
    const [old, next] = [engine(), engine()];
    await old.listen();
    const before = await publish();
    await give(old, next, (file) => file);
    await old.restart();
    await next.close(true);
    t.notOk(existsSync(snapshotFile));
    const after = await publish();
    t.match(after, { offset: 1 });
    t.notSame(after, before, 'another epoch');
    await old.close(false);
    await engine().listen();
    t.match(await publish(), { offset: 2, epoch: after.epoch }, 'kept at its planned end');
  },
);

t.test(
  'the old one goes on after it was answered too late, and dies: what it gave is not used',
  async (t) => {
    const { engine, publish } = await place(t);
    const [old, next] = [engine(), engine()];
    await old.listen();
    const before = await publish();
    await t.rejects(give(old, next, tooLate), /too late/);
    await publish();
    await old.close(true);
    await next.settle();
    const after = await publish();
    t.match(after, { offset: 1 });
    t.notSame(after, before, 'another epoch');
  },
);
