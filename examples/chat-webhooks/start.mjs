// One command: the back end, which serves the page as well, and the gateway that asks it.
import { fileURLToPath } from 'node:url';
import { startGateway } from '../shared/gateway.mjs';
import { servePage } from '../shared/page.mjs';
import { createBackend } from './backend.mjs';

let gatewayUrl;
const backend = createBackend({
  apiUrl: () => new URL('/api', gatewayUrl.replace(/^ws/, 'http')).href,
  apiKey: 'a-key-for-this-example-only',
  webhookSecret: 'a-secret-for-this-example-only',
  serveRest: (request, response) => servePage(request, response, () => gatewayUrl),
});
backend.listen(Number(process.env.PAGE_PORT ?? 3000), '127.0.0.1', async () => {
  const { port } = backend.address();
  const at = (path) => `http://127.0.0.1:${port}${path}`;
  gatewayUrl = await startGateway(fileURLToPath(new URL('holdfast.yaml', import.meta.url)), {
    // The file says 3000; these say wherever the back end really is.
    HOLDFAST_CLIENT_PROXY_CONNECT_ENDPOINT: at('/connect'),
    HOLDFAST_CHANNEL_PROXY_SUBSCRIBE_ENDPOINT: at('/subscribe'),
    HOLDFAST_CHANNEL_PROXY_PUBLISH_ENDPOINT: at('/publish'),
    HOLDFAST_RPC_PROXY_ENDPOINT: at('/rpc'),
    HOLDFAST_WEBHOOKS_ENDPOINT: at('/events'),
  });
  console.log(`chat: http://localhost:${port}`);
});
