// What `holdfast haproxy` says to whoever writes something that cannot be meant.
import t from 'tap';
import { cliRun } from '../../helpers/cli-run.ts';

t.test('hosts and flags that are wrong are named', async (t) => {
  const says = async (args: readonly string[], code: number, message: RegExp): Promise<void> => {
    const run = await cliRun(['haproxy', ...args]);
    t.match(run, { code, out: /^$/, err: message }, args.join(' '));
    t.notMatch(run.err, 'the configuration is invalid');
  };
  await says([], 2, /missing required argument 'hosts'/);
  await says(['http://10.0.0.1'], 78, /^holdfast: host http:\/\/10\.0\.0\.1: without the scheme/);
  await says(['a=10.0.0.1', 'a=10.0.0.2'], 78, /two servers are named a/);
  await says(['10.0.0.1', '--balance=random'], 78, /--balance random: expected leastconn/);
  await says(['10.0.0.1', '--bind=443'], 2, /ADDRESS:PORT, or :PORT for all addresses/);
  await says(['10.0.0.1', '--bind=:99999'], 2, /ADDRESS:PORT, or :PORT for all addresses/);
  await says(['10.0.0.1', '--api-bind=*:443'], 2, /--bind and --api-bind are the same address, \*:443/);
  await says(['10.0.0.1', '--bind=127.0.0.1:8404'], 2, /--bind and --ops-bind are the same address/);
  await says(['256.0.0.1'], 78, /256\.0\.0\.1 is no IPv4 address/);
  await says(['10.0.0.1', '--trusted=10.0.0.0/33'], 2, /networks such as 10\.0\.0\.0\/8/);
  await says(['10.0.0.1', '--trusted=10.0.0.256'], 2, /networks such as 10\.0\.0\.0\/8/);
  await says(['10.0.0.1', '--canary-from='], 2, /networks such as 10\.0\.0\.0\/8/);
  await says(['releod'], 2, /releod is no command \(did you mean `holdfast haproxy reload`\?\)/);
  await says(['10.0.0.1', '--per-source=-1'], 2, /a number, 0 or more/);
  await says(['10.0.0.1', '--trusted=offices'], 2, /networks such as 10\.0\.0\.0\/8/);
});

t.test('a host may be called nearly anything, and there may be nobody to trust', async (t) => {
  t.match(await cliRun(['haproxy', 'gateway', 'releod:8000', '--trusted=']), { code: 0, err: '' });
  t.match(await cliRun(['haproxy', '10.0.0.1', '--trusted=::1/128,10.0.0.0/8']), { code: 0, err: '' });
});

t.test('addresses to bind that HAProxy understands', async (t) => {
  for (const bind of [
    ':443',
    '*:443',
    '10.0.0.1:443',
    '[::1]:443',
    'front.example.com:443',
    '${BIND}',
    'unix@/run/a.sock',
  ]) {
    t.equal((await cliRun(['haproxy', '10.0.0.1', `--bind=${bind}`])).code, 0, bind);
  }
});

t.test('the first lines say how the file is made again', async (t) => {
  const { out } = await cliRun(['haproxy', '10.0.0.1', '--http2', '--no-ops-bind', '--bind=${BIND}']);
  t.match(out, /^#   holdfast haproxy 10\.0\.0\.1 --bind '\$\{BIND\}' --http2 --no-ops-bind$/m);
});
