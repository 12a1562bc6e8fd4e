// One command: the gateway with the app module, and the page.
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { startGateway } from '../shared/gateway.mjs';
import { servePage } from '../shared/page.mjs';

const gatewayUrl = await startGateway(fileURLToPath(new URL('holdfast.yaml', import.meta.url)));
const page = createServer((request, response) => servePage(request, response, () => gatewayUrl));
page.listen(Number(process.env.PAGE_PORT ?? 3000), '127.0.0.1', () => {
  console.log(`chat: http://localhost:${page.address().port}`);
});
