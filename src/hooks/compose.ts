// One Application out of those there are: webhooks decide where a namespace names one, the app module about all the rest.
// Both are told of what happened.
import type { AppModule } from './app/app-module.ts';
import type { Application } from './application.ts';
import type { NoticeSender } from './notices/notice-sender.ts';
import type { Webhooks } from './webhooks/webhooks.ts';

export interface Answerers {
  readonly webhooks: Webhooks;
  readonly notices: NoticeSender | undefined;
  readonly app: AppModule | undefined;
}

export function composeApplication({ webhooks, notices, app }: Answerers): Application {
  return {
    connect: webhooks.connect ?? app?.connect,
    refresh: webhooks.refresh ?? app?.refresh,
    subscribe: (proxy) => webhooks.subscribe(proxy) ?? app?.subscribe,
    publish: (proxy) => webhooks.publish(proxy) ?? app?.publish,
    subRefresh: (proxy) => webhooks.subRefresh(proxy) ?? app?.subRefresh,
    rpc: (method) => webhooks.rpc(method) ?? app?.rpc(method),
    message: app?.message,
    notify: (notice) => {
      notices?.notify(notice);
      app?.notify(notice);
    },
  };
}
