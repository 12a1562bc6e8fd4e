// "From two bare VMs to production" as the operations page has it, its own configuration and commands, on a machine of its own:
// the shipped units and Debian's HAProxy under a systemd as process 1. Both addresses are the same machine.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { makeCertificate } from '../helpers/haproxy.ts';
import { installBelow, startPrivateSystemd, whyNoSystemd } from '../helpers/private-systemd.ts';
import { waitFor } from '../helpers/wait-for.ts';

const DEADLINE_MS = 60_000;
/** Where a shell of root looks as well. */
const AS_LOGIN = 'PATH=$PATH:/usr/local/bin';

const page = await readFile(join(process.cwd(), 'docs/operations.md'), 'utf8');
const [, section = ''] = /## From two bare VMs[^\n]*\n([^]*?)\n## /.exec(page) ?? [];
const blocks = [...section.matchAll(/^ {3}```(?:yaml)?\n([^]*?)^ {3}```$/gm)].map(([, block = '']) =>
  block.replaceAll(/^ {3}/gm, '').trim(),
);
const [programs = '', configuration = '', start = '', front = '', proof = ''] = blocks;

t.test('the page is as it was', async (t) => {
  t.match(programs, /^ln -s \/opt\/holdfast\/dist\/main\.js /m);
  t.match(configuration, /^engine:/);
  t.match(start, /^systemctl enable/);
  t.match(front, /^holdfast haproxy/);
  t.match(proof, /^holdfast sub[^]*holdfast pub[^]*holdfast doctor/);
});

const why = whyNoSystemd();
if (why !== undefined) {
  t.comment(`the procedure is not gone through here: ${why}`);
} else {
  t.test('step by step', async (t) => {
    const installed = await installBelow(t);
    await writeFile(join(installed, 'etc/holdfast/holdfast.yaml'), configuration);
    const machine = await startPrivateSystemd(t, installed);
    const shell = (text: string): Promise<string> => machine.run('bash', '-ec', `${AS_LOGIN}\n${text}`);
    // The machine sees the directories of this one.
    await shell(`mount -t tmpfs none /usr/local/bin\n${/^ln -s .*$/m.exec(programs)?.[0] ?? 'false'}`);
    await shell('ip address add 10.0.0.11/24 dev lo; ip address add 10.0.0.12/24 dev lo');
    await shell('echo 127.0.0.1 chat.example.com localhost > /etc/hosts');
    const redis = machine.begin(
      'redis-server',
      '--bind',
      '10.0.0.11',
      '--protected-mode',
      'no',
      '--save',
      '',
    );
    await redis.waitUntil('Redis', () => redis.output.includes('eady to accept'));
    const { certificate, siteFile } = await makeCertificate(t, 'chat.example.com');
    await writeFile(machine.path('/etc/haproxy/certs/site.pem'), await readFile(siteFile, 'utf8'));
    await writeFile(machine.path('/run/ca.pem'), certificate);

    t.match(await shell('holdfast check --config /etc/holdfast/holdfast.yaml'), /valid/);
    t.match(await shell(start), /serving/);

    // As many descriptors as a machine of tests has.
    await shell(front.replace(' > /etc/haproxy/haproxy.cfg', ' --maxconn 500$&'));
    t.equal(await machine.show('haproxy.service', 'ActiveState'), 'active');

    const [sub = '', pub = '', doctor = ''] = proof.split('\n');
    const listener = machine.begin(
      'env',
      'NODE_EXTRA_CA_CERTS=/run/ca.pem',
      'bash',
      '-ec',
      `${AS_LOGIN}\n${sub}`,
    );
    await listener.waitUntil(
      'the subscription',
      () => listener.output.includes('subscribed to hello'),
      DEADLINE_MS,
    );
    await shell(pub);
    await waitFor('the message', () => listener.output.includes('{"text":"here"}'), DEADLINE_MS);
    // Without the measurement, and whatever this machine lacks: it says so by its exit code.
    const [asked = ''] = doctor.split(' --connections');
    t.match(await shell(`${asked} --all || test $? -le 4`), /haproxy/i);
  });
}
