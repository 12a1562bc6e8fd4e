// The program with two workers and a client on each of them, for tests of what must reach both.
import { signConnectionToken } from '../../src/auth/sign-token.ts';
import { OfficialClient } from './centrifuge.ts';
import { type Gateway, startGateway } from './gateway.ts';
import type { Scope } from './scope.ts';
import { isJson, type Json } from './server-frames.ts';
import { waitFor } from './wait-for.ts';

const SECRET = 'a secret of at least thirty-two bytes';

export interface TwoWorkers {
  readonly gateway: Gateway;
  /** A client for each, on different workers; they have the same user. */
  pair(user: string): Promise<readonly [OfficialClient, OfficialClient]>;
  client(user: string, expiresAtMs?: number): Promise<OfficialClient>;
  /** One that tries to connect. */
  refused(user: string): Promise<OfficialClient>;
  /** The result of an API call that must succeed. */
  call(method: string, params?: object): Promise<Json>;
}

export async function twoWorkers(scope: Scope, config: Json = {}): Promise<TwoWorkers> {
  const { client: clientConfig, channel, ...rest } = config;
  const gateway = await startGateway(scope, {
    workers: 2,
    config: {
      client: {
        insecure: false,
        token: { hmac_secret_key: SECRET },
        ...(isJson(clientConfig) ? clientConfig : {}),
      },
      channel: {
        without_namespace: {
          presence: true,
          join_leave: true,
          history_size: 100,
          history_ttl: '300s',
          allow_subscribe_for_client: true,
          allow_publish_for_subscriber: true,
          allow_presence_for_subscriber: true,
          allow_history_for_subscriber: true,
        },
        ...(isJson(channel) ? channel : {}),
      },
      ...rest,
    },
  });
  const call = async (method: string, params: object = {}): Promise<Json> => {
    const answer = await gateway.api(method, params);
    const result = isJson(answer) ? answer['result'] : undefined;
    if (!isJson(result)) throw new Error(`${method}: ${JSON.stringify(answer)}`);
    return result;
  };
  const make = async (user: string, expiresAtMs?: number): Promise<OfficialClient> => {
    const token = await signConnectionToken({ user, expiresAtMs }, SECRET);
    return new OfficialClient(scope, gateway.wsUrl, { options: { token } });
  };
  const client = async (user: string, expiresAtMs?: number): Promise<OfficialClient> =>
    (await make(user, expiresAtMs)).connect();
  const nodeOf = async (of: OfficialClient): Promise<unknown> => {
    const { connections } = await call('connections', { client: idOf(of) });
    const details = isJson(connections) ? connections[idOf(of)] : undefined;
    return isJson(details) ? details['node'] : undefined;
  };
  return {
    gateway,
    call,
    client,
    refused: async (user) => {
      const refused = await make(user);
      refused.client.connect();
      return refused;
    },
    pair: async (user) => {
      const one = await client(user);
      // Workers take turns, but for what else may be connected.
      for (let tries = 0; tries < 20; tries += 1) {
        const other = await client(user);
        if ((await nodeOf(other)) !== (await nodeOf(one))) return [one, other];
        other.client.disconnect();
        await waitFor('the client to be gone', async () => (await nodeOf(other)) === undefined);
      }
      throw new Error('all clients come to the same worker');
    },
  };
}

/** The client id that the server gave. */
export function idOf({ history }: OfficialClient): string {
  const contexts = history.filter(({ kind }) => kind === 'connected').map(({ context }) => context);
  const last = contexts.at(-1);
  return isJson(last) ? String(last['client']) : '';
}
