// Puts together who answers for the application and who is told: webhooks of the configuration, and its app module.
import type { Config } from '../config/schema.ts';
import { AppModule } from '../hooks/app/app-module.ts';
import type { AppRunnerDeps } from '../hooks/app/app-runner.ts';
import { loadApp } from '../hooks/app/load-app.ts';
import type { Application } from '../hooks/application.ts';
import { composeApplication } from '../hooks/compose.ts';
import { NoticeSender, type NoticeSenderDeps } from '../hooks/notices/notice-sender.ts';
import type { WebhookDeps } from '../hooks/webhooks/webhook.ts';
import { Webhooks } from '../hooks/webhooks/webhooks.ts';
import type { Logger } from '../observe/logger.ts';
import { AppGateway, type AppGatewayDeps } from './app-gateway.ts';
import { noticeSettings, webhookSettings } from './webhook-settings.ts';

export type ApplicationDeps = Omit<WebhookDeps & NoticeSenderDeps, 'log' | 'counters'> & {
  readonly log: Logger;
  readonly counters: WebhookDeps['counters'] & NoticeSenderDeps['counters'] & AppRunnerDeps['counters'];
};

export interface RunningApplication {
  readonly application: Application;
  /** Events that wait to be told. */
  readonly queuedNotices: () => number;
  /** Before the first client: runs the app module's own start, and rejects when that does. */
  start(deps: AppGatewayDeps): Promise<void>;
  /** After the last client: ends questions that are under way, and tells what waits, within limits. */
  close(): Promise<void>;
}

/** Loads the app module: rejects with ConfigError when that fails. */
export async function createApplication(config: Config, deps: ApplicationDeps): Promise<RunningApplication> {
  const app = await appModule(config, deps);
  const webhooks = new Webhooks(deps, webhookSettings(config));
  const toTell = noticeSettings(config);
  const notices = toTell && new NoticeSender(deps, toTell);
  const onRejection = (error: unknown): void =>
    deps.log.error({ err: error }, 'rejection that nobody handled');
  return {
    application: composeApplication({ webhooks, notices, app }),
    queuedNotices: () => notices?.size ?? 0,
    start: async (gateway) => {
      if (app === undefined) return;
      await app.start(new AppGateway(gateway));
      // A promise that application code forgot would end the worker and all of its connections.
      process.on('unhandledRejection', onRejection);
    },
    close: async () => {
      webhooks.close();
      await Promise.all([notices?.close(), app?.stop()]);
      process.off('unhandledRejection', onRejection);
    },
  };
}

async function appModule(
  { app: { module, timeout } }: Config,
  { clock, log, counters }: ApplicationDeps,
): Promise<AppModule | undefined> {
  if (module === '') return undefined;
  return new AppModule({ clock, log, counters, timeoutMs: timeout }, await loadApp(module));
}
