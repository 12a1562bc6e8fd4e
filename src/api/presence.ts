// API methods about who is subscribed: presence, presence_stats.
import { z } from 'zod';
import type { PresenceStore } from '../engine/presence-store.ts';
import type { Namespaces } from '../hub/namespaces.ts';
import { ApiErrors, ApiFailure } from './api-errors.ts';
import { optionsOf } from './channel-options.ts';
import { clientInfoJson, clientInfoResult } from './client-info.ts';
import { channel } from './fields.ts';
import { apiMethod, type ApiMethod } from './method.ts';

export interface PresenceDeps {
  readonly presence: Pick<PresenceStore, 'get' | 'stats'>;
  readonly namespaces: Pick<Namespaces, 'resolve'>;
}

export function presenceMethods(deps: PresenceDeps): ApiMethod[] {
  return [
    apiMethod({
      name: 'presence',
      summary: 'Clients subscribed to a channel, by client id.',
      params: z.object({ channel }),
      result: z.object({ presence: z.record(z.string(), clientInfoResult) }),
      run: async (params) => {
        requirePresence(deps, params.channel);
        const infos = await deps.presence.get(params.channel);
        const entries = infos.map((info) => `${JSON.stringify(info.client)}:${clientInfoJson(info)}`);
        return `{"presence":{${entries.join(',')}}}`;
      },
    }),
    apiMethod({
      name: 'presence_stats',
      summary: 'How many clients and users are subscribed to a channel.',
      params: z.object({ channel }),
      result: z.object({ num_clients: z.int(), num_users: z.int() }),
      run: async (params) => {
        requirePresence(deps, params.channel);
        const { clients, users } = await deps.presence.stats(params.channel);
        return JSON.stringify({ num_clients: clients, num_users: users });
      },
    }),
  ];
}

function requirePresence(deps: PresenceDeps, name: string): void {
  if (optionsOf(deps.namespaces, name).presence) return;
  throw new ApiFailure(ApiErrors.notAvailable, `channel ${JSON.stringify(name)} has no presence`);
}
