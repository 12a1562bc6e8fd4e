// The snapshot file is whole, or it is not used.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readSnapshot, SnapshotError, writeSnapshot } from '../../../src/engine/memory/snapshot-file.ts';
import { tempDir } from '../../helpers/temp-dir.ts';

const STATE = Buffer.from('what the engine knows, all of it');

function pieces(): Buffer[] {
  return [STATE.subarray(0, 5), STATE.subarray(5)];
}

/** Everything that was taken, also when the file turns out to be damaged. */
function read(path: string, maxBytes?: number): Buffer {
  const taken: Buffer[] = [];
  readSnapshot(
    path,
    (given) => {
      for (const piece of given) taken.push(Buffer.from(piece));
    },
    maxBytes,
  );
  return Buffer.concat(taken);
}

t.test('what is written can be read, and is nobody else’s to read', async (t) => {
  const path = join(await tempDir(t), 'history.snapshot');
  const bytes = writeSnapshot(path, pieces());
  t.equal(bytes, statSync(path).size);
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.same(read(path), STATE);
});

t.test('a large state is read in pieces', async (t) => {
  const path = join(await tempDir(t), 'history.snapshot');
  const large = Buffer.alloc(3_000_000, 'x');
  writeSnapshot(path, [large]);
  const sizes: number[] = [];
  readSnapshot(path, (given) => {
    for (const piece of given) sizes.push(piece.length);
  });
  t.ok(sizes.length > 1);
  t.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    large.length,
  );
});

t.test('cut anywhere, or longer than it was, it is refused', async (t) => {
  const path = join(await tempDir(t), 'history.snapshot');
  writeSnapshot(path, pieces());
  const whole = readFileSync(path);
  for (let length = 0; length < whole.length; length += 1) {
    writeFileSync(path, whole.subarray(0, length));
    t.throws(() => read(path), SnapshotError, `cut at ${length}`);
  }
  writeFileSync(path, Buffer.concat([whole, Buffer.from([0])]));
  t.throws(() => read(path), SnapshotError);
});

t.test('any flipped bit is noticed', async (t) => {
  const path = join(await tempDir(t), 'history.snapshot');
  writeSnapshot(path, pieces());
  const whole = readFileSync(path);
  for (let bit = 0; bit < whole.length * 8; bit += 1) {
    const damaged = Buffer.from(whole);
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    writeFileSync(path, damaged);
    t.throws(() => read(path), SnapshotError, `bit ${bit}`);
  }
});

t.test('another version, and another kind of file, are named', async (t) => {
  const path = join(await tempDir(t), 'history.snapshot');
  writeSnapshot(path, pieces());
  const whole = readFileSync(path);
  whole.writeUInt32BE(7, 8);
  writeFileSync(path, whole);
  t.throws(() => read(path), { message: 'it has version 7, not 1' });
  writeFileSync(path, 'A text that somebody left here, longer than the head of a snapshot.');
  t.throws(() => read(path), { message: 'it is another kind of file' });
});

t.test('a state that is too large is not written, and what was there stays', async (t) => {
  const directory = await tempDir(t);
  const path = join(directory, 'history.snapshot');
  writeSnapshot(path, pieces());
  const { size } = statSync(path);
  t.throws(() => writeSnapshot(path, [...pieces(), Buffer.alloc(1)], size), SnapshotError);
  t.same(readdirSync(directory), ['history.snapshot']);
  t.same(read(path, size), STATE);
  t.throws(() => read(path, size - 1), SnapshotError);
});

t.test('a state that fails half-way leaves what was there', async (t) => {
  const directory = await tempDir(t);
  const path = join(directory, 'history.snapshot');
  writeSnapshot(path, pieces());
  const failing = function* (): Generator<Buffer> {
    yield STATE;
    throw new Error('half-way');
  };
  t.throws(() => writeSnapshot(path, failing()), { message: 'half-way' });
  t.same(readdirSync(directory), ['history.snapshot']);
  t.same(read(path), STATE);
});

t.test('a file that is missing says so', async (t) => {
  const path = join(await tempDir(t), 'history.snapshot');
  t.throws(() => read(path), { code: 'ENOENT' });
});
