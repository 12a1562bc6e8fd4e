// What a plain GET to a WebSocket path is told: upgrades never come by here.
import type { FastifyInstance } from 'fastify';
import type { RouteGroup } from './http-server.ts';

export function websocketHint(path: string): RouteGroup {
  return {
    serves: [`WebSocket ${path}`],
    place: 'public',
    register: (app: FastifyInstance) => {
      app.get(path, (_request, reply) =>
        reply
          .code(426)
          .headers({ upgrade: 'websocket', connection: 'Upgrade, close' })
          .type('text/plain')
          .send('Upgrade Required: this path speaks WebSocket.\n'),
      );
    },
  };
}
