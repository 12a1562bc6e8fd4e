// The rules of the chat as an ordinary HTTP back end: the gateway asks it (docs/webhooks.md), and it publishes through the
// gateway's HTTP API. Nothing in here is particular to Node: any language and framework will do.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const LOBBY = 'chat:lobby';
const MAX_AGE_S = 300;

/** `serveRest` answers what is no webhook. `apiUrl()` is where the gateway's API is. */
export function createBackend({ apiUrl, apiKey, webhookSecret, serveRest }) {
  const hooks = {
    // A client connects with `{ name }`. Whoever has none is turned away.
    '/connect': ({ data }) => {
      const name = data?.name;
      if (typeof name !== 'string' || !/^[\p{L}\p{N}]{1,20}$/u.test(name)) {
        return { error: { code: 1001, message: 'choose a name of 1 to 20 letters' } };
      }
      return { result: { user: name, info: { name }, data: { welcome: `Welcome, ${name}.` } } };
    },

    '/subscribe': async ({ channel, user }) => {
      if (channel !== LOBBY) return { error: { code: 103, message: 'permission denied' } };
      await callApi('publish', { channel: LOBBY, data: { notice: `${user} came in` } });
      return { result: {} };
    },

    // Clients send `{ text }`; who said it, and when, is not theirs to say.
    '/publish': ({ data, user }) => {
      const text = data?.text;
      if (typeof text !== 'string' || text.trim() === '' || text.length > 500) {
        return { error: { code: 1002, message: 'say something, in at most 500 letters' } };
      }
      if (/\bspam\b/i.test(text)) return { result: { drop: true } };
      return { result: { data: { from: user, text, at: new Date().toISOString() } } };
    },

    '/rpc': async ({ method }) => {
      if (method !== 'who') return { error: { code: 104, message: 'method not found' } };
      const { presence } = await callApi('presence', { channel: LOBBY });
      const users = Object.values(presence).map(({ user }) => user);
      return { result: { data: [...new Set(users)].toSorted() } };
    },
  };

  /** Events come at least once: their ids tell which were here before. */
  const seen = new Set();

  async function takeEvents({ events }) {
    for (const event of events) {
      if (seen.has(event.id) || event.type !== 'unsubscribe') continue;
      // One key for each event, so that not even a crash between these two lines tells of it twice.
      await callApi('publish', {
        channel: LOBBY,
        data: { notice: `${event.user} left` },
        idempotency_key: event.id,
      });
      remember(event.id);
    }
  }

  function remember(id) {
    seen.add(id);
    if (seen.size > 10_000) seen.delete(seen.values().next().value);
  }

  async function callApi(method, params) {
    const response = await fetch(`${apiUrl()}/${method}`, {
      method: 'POST',
      headers: { 'x-api-key': apiKey, 'content-type': 'application/json' },
      body: JSON.stringify(params),
    });
    if (!response.ok) throw new Error(`${method}: status ${response.status}`);
    const { result, error } = await response.json();
    if (error !== undefined) throw new Error(`${method}: ${error.message} (${error.code})`);
    return result;
  }

  async function answer(request, response) {
    if (request.method !== 'POST') return serveRest(request, response);
    const body = await textOf(request);
    if (request.url === '/events') {
      if (!isGenuine(request.headers['x-holdfast-signature'], body, webhookSecret)) {
        return response.writeHead(401).end();
      }
      await takeEvents(JSON.parse(body));
      return response.writeHead(204).end();
    }
    const hook = hooks[request.url];
    if (hook === undefined) return response.writeHead(404).end();
    response.setHeader('content-type', 'application/json');
    return response.end(JSON.stringify(await hook(JSON.parse(body))));
  }

  return createServer((request, response) => {
    answer(request, response).catch((error) => {
      console.error(error);
      // The gateway tells its client "internal error, try again", and delivers events once more.
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
}

/** `t=<Unix seconds>,v1=<hex HMAC-SHA256 of "t.body">` */
function isGenuine(header = '', body, secret) {
  const [, time, mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header) ?? [];
  if (time === undefined || Math.abs(Date.now() / 1000 - Number(time)) > MAX_AGE_S) return false;
  const expected = createHmac('sha256', secret).update(`${time}.${body}`).digest();
  return timingSafeEqual(expected, Buffer.from(mac, 'hex'));
}

async function textOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
