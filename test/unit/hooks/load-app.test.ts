import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { loadApp } from '../../../src/hooks/app/load-app.ts';
import { ConfigError } from '../../../src/util/errors.ts';
import { tempDir } from '../../helpers/temp-dir.ts';

async function file(t: Test, name: string, source: string): Promise<string> {
  const path = join(await tempDir(t), name);
  await writeFile(path, source);
  return path;
}

t.test('modules of every kind', async (t) => {
  const esm = await loadApp(
    await file(t, 'app.mjs', 'export default { connect() { return { user: "7" } } }'),
  );
  t.ok('connect' in esm);
  const cjs = await loadApp(await file(t, 'app.cjs', 'module.exports = { rpc: { hello: () => 1 } }'));
  t.type(cjs.rpc, 'object');
  const compiled = `Object.defineProperty(exports, '__esModule', { value: true });
    exports.default = { message() {} };`;
  t.ok('message' in (await loadApp(await file(t, 'app.cjs', compiled))));
});

t.test('what is no app module is refused, and it is said why', async (t) => {
  const cases: [name: string, source: string, reason: RegExp][] = [
    ['app.mjs', 'export const connect = 1;', /no default export/],
    ['app.mjs', 'export default 7;', /no default export/],
    ['app.mjs', 'export default { connect: 7 };', /connect: expected a function/],
    ['app.mjs', 'export default { onConnect() {} };', /onConnect: is no handler; there are .*connect/],
    ['app.mjs', 'export default { rpc: { hello: 7 } };', /rpc: expected a function, or an object/],
    ['app.mjs', 'export default { connect() { ', /SyntaxError/],
    ['app.mjs', 'throw new Error("no database");', /no database/],
    ['app.mjs', 'throw "text";', /text/],
    ['app.mjs', 'import "not-installed-anywhere";', /not-installed-anywhere/],
  ];
  for (const [name, source, reason] of cases) {
    const path = await file(t, name, source);
    await t.rejects(loadApp(path), { name: 'ConfigError', message: reason }, source);
    await t.rejects(loadApp(path), { message: path }, 'names the file');
  }
  await t.rejects(loadApp('/nowhere/app.mjs'), { message: '/nowhere/app.mjs: no such file' });
});

t.test('TypeScript runs where Node strips types, and is explained elsewhere', async (t) => {
  const path = await file(
    t,
    'app.mts',
    'const user: string = "7"; export default { connect: () => ({ user }) };',
  );
  const strips = 'typescript' in process.features && Boolean(process.features.typescript);
  if (strips) t.ok('connect' in (await loadApp(path)));
  else
    await t.rejects(
      loadApp(path),
      new ConfigError(
        `app.module: ${path}: is TypeScript, which Node ${process.versions.node} does not run: compile it to JavaScript, or use Node 22.18 or newer`,
      ),
    );
});
