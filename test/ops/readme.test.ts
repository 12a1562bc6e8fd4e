// The README's client, run as it is printed there.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Child } from '../helpers/child.ts';
import { startGateway } from '../helpers/gateway.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

t.test('its client connects, subscribes and hears itself', async (t) => {
  const gateway = await startGateway(t, { args: ['--dev'] });
  const [, example = ''] = /```js\n([^]*?)```/.exec(readFileSync(`${ROOT}/README.md`, 'utf8')) ?? [];
  t.match(example, 'ws://localhost:8000/connection/websocket');
  // What the README says of Node before version 22.
  const program = `import { WebSocket } from 'ws'; globalThis.WebSocket ??= WebSocket;
    ${example.replace('ws://localhost:8000/connection/websocket', gateway.wsUrl)}`;
  const client = new Child(t, process.execPath, ['--input-type=module', '--eval', program], { cwd: ROOT });
  await client.waitUntil('its own message', () => client.output.includes("{ text: 'hello from a client' }"));
  t.match(client.output, /^connected as [\w-]+$/m);
});
