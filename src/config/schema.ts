// The whole configuration as one zod schema: parsing, defaults, validation, help, JSON Schema and the reference page all
// come from it. Keys stay as they are written in a file; durations become milliseconds.
import { z } from 'zod';
import { checkRules } from './rules.ts';
import { admission } from './sections/admission.ts';
import { app } from './sections/app.ts';
import { channel } from './sections/channel.ts';
import { client } from './sections/client.ts';
import { health, httpApi, httpServer, prometheus } from './sections/http.ts';
import { agentCheck, control, engine, handoff, log, outbox, shutdown, workers } from './sections/process.ts';
import { proxies, rpc } from './sections/proxy.ts';
import { webhooks } from './sections/webhooks.ts';
import {
  emulation,
  httpStream,
  sse,
  uniHttpStream,
  uniSse,
  uniWebsocket,
  websocket,
} from './sections/transports.ts';

const shape = z.strictObject({
  workers,
  http_server: httpServer,
  client,
  channel,
  rpc,
  proxies,
  webhooks,
  app,
  websocket,
  http_stream: httpStream,
  sse,
  emulation,
  uni_websocket: uniWebsocket,
  uni_http_stream: uniHttpStream,
  uni_sse: uniSse,
  http_api: httpApi,
  engine,
  admission,
  outbox,
  prometheus,
  health,
  agent_check: agentCheck,
  control,
  handoff,
  shutdown,
  log,
});

export type Config = z.output<typeof shape>;

export const configSchema = shape.superRefine((config, context) => {
  for (const { path, message } of checkRules(config)) {
    context.addIssue({ code: 'custom', path: [...path], message });
  }
});
