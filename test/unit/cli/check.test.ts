import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { cliRun } from '../../helpers/cli-run.ts';
import { tempDir } from '../../helpers/temp-dir.ts';

t.test('a valid file, with a word about what is risky', async (t) => {
  const file = join(await tempDir(t), 'holdfast.yaml');
  writeFileSync(file, 'http_server: {internal_port: 9000}\nclient: {insecure: true}\n');
  const run = await cliRun(['check', file]);
  t.equal(run.code, 0);
  t.equal(
    run.out,
    `${file}: valid\nwarning: client.insecure anybody may connect and do anything: for development only\n`,
  );
  t.same(JSON.parse((await cliRun(['check', '--json', '--config', file])).out), {
    valid: true,
    issues: [],
    warnings: [
      {
        option: 'client.insecure',
        risk: 'danger',
        message: 'anybody may connect and do anything: for development only',
      },
    ],
  });
  const fromEnvironment = await cliRun(['check'], { environment: { HOLDFAST_CONFIG: file } });
  t.match(fromEnvironment, { code: 0, out: `${file}: valid` });
});

t.test('an invalid file ends with 78 and names option, value and place', async (t) => {
  const file = join(await tempDir(t), 'holdfast.yaml');
  writeFileSync(file, 'client:\n  ping_intervall: 1s\n  channel_limit: many\n');
  const run = await cliRun(['check', file]);
  t.equal(run.code, 78);
  t.same(run.out.split('\n'), [
    `error: ${file}:3: client.channel_limit = "many": expected a whole number`,
    `error: ${file}:2: client.ping_intervall: is no option (did you mean client.ping_interval?)`,
    '',
  ]);
  t.equal(run.err, `holdfast: ${file} is invalid: 2 errors\n`);
  const asJson = await cliRun(['check', file, '--json']);
  t.equal(asJson.code, 78);
  t.match(JSON.parse(asJson.out), {
    valid: false,
    issues: [
      { option: 'client.channel_limit', where: `${file}:3`, value: '"many"' },
      { option: 'client.ping_intervall', where: `${file}:2`, suggestion: 'client.ping_interval' },
    ],
  });
});

t.test('a file that is not there, or cannot be read as options', async (t) => {
  const run = await cliRun(['check', '/nowhere/holdfast.yaml', '--json']);
  t.equal(run.code, 78);
  t.match(JSON.parse(run.out), {
    valid: false,
    issues: [{ message: '/nowhere/holdfast.yaml: cannot be read: no such file' }],
  });
});

t.test('colours appear on a terminal only, and not against NO_COLOR', async (t) => {
  const escape = '\u001b[';
  t.match((await cliRun(['check'], { isTTY: true })).out, escape);
  t.notMatch((await cliRun(['check'])).out, escape);
  t.notMatch((await cliRun(['check'], { isTTY: true, environment: { NO_COLOR: '1' } })).out, escape);
});

t.test('the printed defaults are accepted unchanged, as YAML and as JSON', async (t) => {
  const directory = await tempDir(t);
  for (const args of [['defaults'], ['defaults', '--json']]) {
    const file = join(directory, `defaults-${args.length}`);
    writeFileSync(file, (await cliRun(args)).out);
    t.match(await cliRun(['check', file]), { code: 0 }, args.join(' '));
  }
});

t.test('the schema for editors and the reference page', async (t) => {
  t.match(JSON.parse((await cliRun(['schema'])).out), { title: 'Holdfast configuration' });
  t.match((await cliRun(['schema', '--markdown'])).out, /^# Configuration/);
});
