// `holdfast deploy` where something is not there, or not what it should be.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { cliRun } from '../../helpers/cli-run.ts';
import { tempDir } from '../../helpers/temp-dir.ts';

t.test('where a deployment stands is said without HAProxy, too', async (t) => {
  const directory = await tempDir(t);
  const haproxy = join(directory, 'admin.sock');
  const state = join(directory, 'deploy.json');
  const places = ['--control', join(directory, 'COLOUR.sock'), '--haproxy', haproxy, '--state', state];
  const none = await cliRun(['deploy', '--status', ...places]);
  t.match(none, { code: 69, out: 'no deployment yet\nblue: stopped\ngreen: stopped\n' });
  t.match(none.err, `HAProxy at ${haproxy}: connect ENOENT ${haproxy} (--haproxy names its runtime socket)`);
  const json = await cliRun(['deploy', '--status', '--json', ...places]);
  t.equal(json.code, 69);
  t.match(JSON.parse(json.out), { record: null, fronts: [{ haproxy, servers: [] }] });

  await writeFile(state, '{');
  t.match(await cliRun(['deploy', '--status', ...places]), {
    code: 78,
    out: '',
    err: `${state} is not the state of a deployment: remove it, and say --to`,
  });
});

t.test('places that are empty or of another kind', async (t) => {
  const directory = await tempDir(t);
  t.match(await cliRun(['deploy', '--haproxy', '']), { code: 2, err: /Write at least one/ });
  t.match(await cliRun(['haproxy', 'reload', '--master', '']), { code: 2, err: /It is empty/ });
  await mkdir(join(directory, 'keys'));
  t.match(await cliRun(['haproxy', 'rotate-keys', '--no-live', '--keys', join(directory, 'keys')]), {
    code: 78,
    err: `cannot read ${join(directory, 'keys')}: EISDIR`,
  });
});
