// What an application's editor says: the declarations of the package, used from a project of its own.
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { tempDir } from '../../helpers/temp-dir.ts';

/** The compiler, without what the test runner would load into it. */
const tsc = (...args: string[]) =>
  promisify(execFile)('env', [
    '-u',
    'NODE_OPTIONS',
    process.execPath,
    'node_modules/typescript/bin/tsc',
    ...args,
  ]);
const OPTIONS = ['--ignoreConfig', '--strict', '--module', 'nodenext', '--target', 'es2023', '--types'];

const GOOD = `import { AppError, defineApp, type Gateway } from 'holdfast/app';
let kept: Gateway | undefined;
export default defineApp({
  start(gateway) { kept = gateway; },
  connect({ name, caller }) {
    if (name === '' || kept === undefined) throw new AppError(1000, 'no', { temporary: true });
    return { user: caller.client, expireAt: new Date(), subs: { news: { override: { presence: true } } } };
  },
  subscribe: async ({ channel, caller }) => (channel === caller.user ? {} : undefined),
  rpc: { hello: async ({ data }, { gateway, signal }) => {
    signal.throwIfAborted();
    const { offset } = await gateway.publish('news', data, { tags: { a: 'b' } });
    return { offset };
  } },
});
`;

/** One mistake on each line. */
const BAD = `import { defineApp } from 'holdfast/app';
defineApp({ onConnect() {} });
defineApp({ connect: () => ({ user: 7 }) });
defineApp({ connect: () => ({ expireAt: 1700000000 }) });
defineApp({ connect: ({ nmae }) => ({ user: nmae }) });
defineApp({ rpc: { hello: 7 } });
defineApp({ rpc: (_, { gateway }) => gateway.disconnect('17') });
`;

t.test('right code compiles, and every mistake is found', async (t) => {
  const project = await tempDir(t);
  const installed = join(project, 'node_modules', 'holdfast');
  await mkdir(installed, { recursive: true });
  await cp('package.json', join(installed, 'package.json'));
  await writeFile(join(project, 'package.json'), '{"type":"module"}');
  await writeFile(join(project, 'good.ts'), GOOD);
  await writeFile(join(project, 'bad.ts'), BAD);
  const manifest: { exports: Record<string, { types: string }> } = JSON.parse(
    await readFile('package.json', 'utf8'),
  );
  t.equal(manifest.exports['./app']?.types, './dist/hooks/app/public.d.ts');
  const emitted = ['--declaration', '--emitDeclarationOnly', '--rewriteRelativeImportExtensions'];
  const folders = ['--rootDir', 'src', '--outDir', join(installed, 'dist')];
  await tsc(...OPTIONS, 'node', ...emitted, ...folders, 'src/hooks/app/public.ts');
  const { stdout } = await tsc(...OPTIONS, '', '--noEmit', join(project, 'good.ts'));
  t.equal(stdout, '');
  const failed = tsc(...OPTIONS, '', '--noEmit', join(project, 'bad.ts'));
  const said = await failed.then(
    () => '',
    (error: unknown) => (error instanceof Error && 'stdout' in error ? String(error.stdout) : ''),
  );
  const lines = new Set(Array.from(said.matchAll(/bad\.ts\((\d+),/g), ([, line]) => Number(line)));
  t.same([...lines], [2, 3, 4, 5, 6, 7], said);
});
