// An app module in TypeScript: it runs as it is where Node strips types; elsewhere the start ends and says what to do.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Child } from '../helpers/child.ts';
import { startGateway } from '../helpers/gateway.ts';
import { MAIN } from '../helpers/program.ts';
import { ProtocolClient } from '../helpers/protocol-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const APP = `
interface Hello {
  readonly name: string;
}

export default {
  connect: ({ data }: { data: Hello | undefined }): { user: string } => ({ user: data?.name ?? 'nobody' }),
  rpc: { whoAmI: ({ caller }: { caller: { user: string } }): string => caller.user as string },
};
`;
const strips = 'typescript' in process.features && Boolean(process.features.typescript);

t.test(`with Node ${process.version}, which ${strips ? 'strips types' : 'runs no TypeScript'}`, async (t) => {
  const module = join(await tempDir(t), 'app.ts');
  await writeFile(module, APP);
  if (strips) {
    const gateway = await startGateway(t, { workers: 1, config: { app: { module } } });
    const client = await ProtocolClient.open(t, gateway.wsUrl);
    t.hasStrict(await client.command('connect', { data: { name: 'ann' } }), { connect: {} });
    t.hasStrict(await client.command('rpc', { method: 'whoAmI' }), { rpc: { data: 'ann' } });
    return;
  }
  const config = join(await tempDir(t), 'config.json');
  await writeFile(config, JSON.stringify({ http_server: { port: 0 }, app: { module } }));
  const child = new Child(t, process.execPath, [MAIN, 'serve', '--config', config]);
  t.match(await child.exited, { code: 78 });
  t.match(
    child.output,
    `app.module: ${module}: is TypeScript, which Node ${process.versions.node} does not run`,
  );
  t.match(child.output, 'compile it to JavaScript, or use Node 22.18 or newer');
});
