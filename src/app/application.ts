// Puts together who answers for the application: the webhooks of the configuration.
import type { Config } from '../config/schema.ts';
import type { Application } from '../hooks/application.ts';
import type { WebhookDeps } from '../hooks/webhooks/webhook.ts';
import { Webhooks } from '../hooks/webhooks/webhooks.ts';
import { webhookSettings } from './webhook-settings.ts';

export type ApplicationDeps = WebhookDeps;

export interface RunningApplication {
  readonly application: Application;
  /** Ends calls that are under way. Harmless when repeated. */
  close(): Promise<void>;
}

export async function createApplication(config: Config, deps: ApplicationDeps): Promise<RunningApplication> {
  const webhooks = new Webhooks(deps, webhookSettings(config));
  return {
    application: {
      connect: webhooks.connect,
      refresh: webhooks.refresh,
      subscribe: (proxy) => webhooks.subscribe(proxy),
      publish: (proxy) => webhooks.publish(proxy),
      subRefresh: (proxy) => webhooks.subRefresh(proxy),
      rpc: (method) => webhooks.rpc(method),
      message: undefined,
      notify: () => undefined,
    },
    close: async () => webhooks.close(),
  };
}
