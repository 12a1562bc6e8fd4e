// Puts together who answers for the application and who is told: the webhooks of the configuration.
import type { Config } from '../config/schema.ts';
import type { Application } from '../hooks/application.ts';
import { NoticeSender, type NoticeSenderDeps } from '../hooks/notices/notice-sender.ts';
import type { WebhookDeps } from '../hooks/webhooks/webhook.ts';
import { Webhooks } from '../hooks/webhooks/webhooks.ts';
import { noticeSettings, webhookSettings } from './webhook-settings.ts';

export type ApplicationDeps = Omit<WebhookDeps & NoticeSenderDeps, 'log' | 'counters'> & {
  readonly log: WebhookDeps['log'] & NoticeSenderDeps['log'];
  readonly counters: WebhookDeps['counters'] & NoticeSenderDeps['counters'];
};

export interface RunningApplication {
  readonly application: Application;
  /** Events that wait to be told. */
  readonly queuedNotices: () => number;
  /** Ends questions that are under way, and tells what waits, within limits. */
  close(): Promise<void>;
}

export async function createApplication(config: Config, deps: ApplicationDeps): Promise<RunningApplication> {
  const webhooks = new Webhooks(deps, webhookSettings(config));
  const toTell = noticeSettings(config);
  const notices = toTell && new NoticeSender(deps, toTell);
  return {
    application: {
      connect: webhooks.connect,
      refresh: webhooks.refresh,
      subscribe: (proxy) => webhooks.subscribe(proxy),
      publish: (proxy) => webhooks.publish(proxy),
      subRefresh: (proxy) => webhooks.subRefresh(proxy),
      rpc: (method) => webhooks.rpc(method),
      message: undefined,
      notify: (notice) => notices?.notify(notice),
    },
    queuedNotices: () => notices?.size ?? 0,
    close: async () => {
      webhooks.close();
      await notices?.close();
    },
  };
}
