import t from 'tap';
import { cliRun } from '../../helpers/cli-run.ts';

t.test('help and version are answers, not errors', async (t) => {
  t.match(await cliRun(['--version']), { code: 0, out: '1.2.3\n', err: '' });
  const help = await cliRun(['--help']);
  t.equal(help.code, 0);
  t.match(help.out, 'Usage: holdfast');
  t.match(help.out, 'Exit codes: 0 done');
});

t.test('every command has help with an example', async (t) => {
  const { out } = await cliRun(['--help']);
  const commands = [...out.matchAll(/^ {2}([a-z-]+) .*$/gm)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'help' && !name.startsWith('-'));
  t.ok(commands.length >= 8, commands.join(' '));
  for (const name of commands) {
    const help = await cliRun([name, '--help']);
    t.equal(help.code, 0, name);
    t.match(help.out, `\n  $ holdfast ${name}`, name);
  }
});

t.test('wrong usage ends with 2 and says where to look', async (t) => {
  const wrong: readonly (readonly [args: string[], message: string | RegExp])[] = [
    [[], 'Usage: holdfast'],
    [['frobnicate'], "unknown command 'frobnicate'"],
    [['chek'], 'Did you mean check?'],
    [['check', '--jsom'], 'Did you mean --json?'],
    [['serve', '--config', ''], /'-c, --config <file>' argument '' is invalid. It is empty/],
    [['check', ''], 'It is empty.'],
    [['deploy', '--config', ''], 'It is empty.'],
    [['check', '--frob'], "unknown option '--frob'"],
    [['check', '--set', 'client.insecure'], 'Write it as option=value.'],
    [['token'], "required option '--user <id>' not specified"],
    [['token', '--user', '1', '--expires', '3 days'], 'Write a duration such as 30m'],
    [['token', '--user', '1', '--expires', '0'], 'Write a duration such as 30m'],
    [['sub', ''], 'It is empty.'],
    [['pub', '', '1'], 'It is empty.'],
    [['token', '--user', '1', '--info', '{'], 'It is not JSON.'],
    [['sub-token', '--user', '1'], "required option '--channel <name>' not specified"],
    [['check-token', 'x', '--type', 'y'], 'Allowed choices are connection, subscription.'],
    [['pub', 'a'], "missing required argument 'json'"],
    [['pub', 'a', '{a}'], 'what to publish: It is not JSON.'],
    [['pub', 'a', '1', '--url', 'localhost'], 'Write an address such as'],
    [['sub', 'a', '--count', '0'], 'Write a whole number from 1.'],
  ];
  for (const [args, message] of wrong) {
    const run = await cliRun(args);
    t.equal(run.code, 2, args.join(' '));
    t.match(run.err, message);
    t.equal(run.out, '');
  }
});

t.test('a wrong configuration ends with 78 in every command that reads one', async (t) => {
  const environment = { HOLDFAST_WORKERS: 'many' };
  for (const args of [
    ['token', '--user', '1'],
    ['sub-token', '--user', '1', '--channel', 'a'],
    ['check-token', 'x'],
    ['pub', 'a', '1'],
    ['sub', 'a'],
  ]) {
    const run = await cliRun(args, { environment });
    t.equal(run.code, 78, args.join(' '));
    t.match(run.err, 'HOLDFAST_WORKERS: workers = "many": expected a whole number');
  }
});
