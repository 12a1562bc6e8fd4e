import t from 'tap';
import { apiUrl, websocketUrl } from '../../../src/cli/gateway-url.ts';
import { resolveConfig } from '../../../src/config/load.ts';

const resolve = (environment: Record<string, string>) => resolveConfig({ environment }, undefined);

t.test('where a gateway is follows from its configuration', async (t) => {
  const table: readonly (readonly [environment: Record<string, string>, api: string, websocket: string])[] = [
    [{}, 'http://127.0.0.1:8000/api', 'ws://127.0.0.1:8000/connection/websocket'],
    [
      { HOLDFAST_HTTP_SERVER_ADDRESS: '::1', HOLDFAST_HTTP_SERVER_PORT: '9000' },
      'http://[::1]:9000/api',
      'ws://[::1]:9000/connection/websocket',
    ],
    [
      { HOLDFAST_HTTP_SERVER_ADDRESS: '0.0.0.0', HOLDFAST_HTTP_SERVER_INTERNAL_PORT: '9001' },
      'http://127.0.0.1:9001/api',
      'ws://127.0.0.1:8000/connection/websocket',
    ],
    [
      {
        HOLDFAST_HTTP_API_HANDLER_PREFIX: '/v1/api',
        HOLDFAST_WEBSOCKET_HANDLER_PREFIX: '/ws',
      },
      'http://127.0.0.1:8000/v1/api',
      'ws://127.0.0.1:8000/ws',
    ],
  ];
  for (const [environment, api, websocket] of table) {
    t.equal(apiUrl(resolve(environment), undefined).href, api);
    t.equal(websocketUrl(resolve(environment), undefined).href, websocket);
  }
});

t.test('an address that was given wins, and gets the path when it has none', async (t) => {
  const config = resolve({});
  t.equal(apiUrl(config, 'https://a.example').href, 'https://a.example/api');
  t.equal(apiUrl(config, 'https://a.example/push/api').href, 'https://a.example/push/api');
  t.equal(websocketUrl(config, 'https://a.example/').href, 'wss://a.example/connection/websocket');
  t.equal(websocketUrl(config, 'wss://a.example/ws').href, 'wss://a.example/ws');
});
