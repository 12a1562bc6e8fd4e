// All webhooks of a worker, in the terms of Application.
import type { Application } from '../application.ts';
import {
  connectDecision,
  publishDecision,
  refreshDecision,
  rpcDecision,
  subRefreshDecision,
  subscribeDecision,
} from './answers.ts';
import {
  connectBody,
  publishBody,
  refreshBody,
  rpcBody,
  subRefreshBody,
  subscribeBody,
} from './questions.ts';
import type { EndpointSettings, EndpointsByName, WebhookSettings } from './settings.ts';
import { Webhook, type WebhookDeps } from './webhook.ts';

export type Asked = Omit<Application, 'message' | 'notify'>;

export class Webhooks implements Asked {
  readonly connect: Application['connect'];
  readonly refresh: Application['refresh'];
  readonly #settings: WebhookSettings;
  /** By their settings: what several events and namespaces share has one pool and one breaker. */
  readonly #webhooks = new Map<EndpointSettings, Webhook>();
  readonly #deps: WebhookDeps;

  constructor(deps: WebhookDeps, settings: WebhookSettings) {
    this.#deps = deps;
    this.#settings = settings;
    const connect = this.#webhook(settings.connect);
    this.connect =
      connect &&
      ((question) =>
        connect.ask({
          event: 'connect',
          subject: question.subject,
          body: (form) => connectBody(question, form),
          decision: connectDecision,
        }));
    const refresh = this.#webhook(settings.refresh);
    this.refresh =
      refresh &&
      ((subject) =>
        refresh.ask({
          event: 'refresh',
          subject,
          body: (form) => refreshBody(subject, form),
          decision: refreshDecision,
        }));
  }

  subscribe(proxy: string | undefined): ReturnType<Application['subscribe']> {
    const webhook = this.#named(this.#settings.subscribe, proxy);
    if (webhook === undefined) return undefined;
    return (question) =>
      webhook.ask({
        event: 'subscribe',
        subject: question.subject,
        body: (form) => subscribeBody(question, form),
        decision: subscribeDecision,
      });
  }

  publish(proxy: string | undefined): ReturnType<Application['publish']> {
    const webhook = this.#named(this.#settings.publish, proxy);
    if (webhook === undefined) return undefined;
    return (question) =>
      webhook.ask({
        event: 'publish',
        subject: question.subject,
        body: (form) => publishBody(question, form),
        decision: publishDecision,
      });
  }

  subRefresh(proxy: string | undefined): ReturnType<Application['subRefresh']> {
    const webhook = this.#named(this.#settings.subRefresh, proxy);
    if (webhook === undefined) return undefined;
    return (question) =>
      webhook.ask({
        event: 'sub_refresh',
        subject: question.subject,
        body: (form) => subRefreshBody(question, form),
        decision: subRefreshDecision,
      });
  }

  rpc(method: string): ReturnType<Application['rpc']> {
    const webhook = this.#webhook(this.#rpcEndpoint(method));
    if (webhook === undefined) return undefined;
    return (question) =>
      webhook.ask({
        event: 'rpc',
        subject: question.subject,
        body: (form) => rpcBody(question, form),
        decision: rpcDecision,
      });
  }

  /** Ends calls that are under way. Harmless when repeated. */
  close(): void {
    for (const webhook of this.#webhooks.values()) webhook.close();
  }

  #rpcEndpoint(method: string): EndpointSettings | undefined {
    const { boundary, withoutNamespace, namespaces } = this.#settings.rpc;
    const end = boundary === '' ? -1 : method.indexOf(boundary);
    return end === -1 ? withoutNamespace : namespaces.get(method.slice(0, end));
  }

  #named(endpoints: EndpointsByName, proxy: string | undefined): Webhook | undefined {
    return proxy === undefined ? undefined : this.#webhook(endpoints.get(proxy));
  }

  #webhook(settings: EndpointSettings | undefined): Webhook | undefined {
    if (settings === undefined) return undefined;
    let webhook = this.#webhooks.get(settings);
    if (webhook === undefined) {
      webhook = new Webhook(this.#deps, settings);
      this.#webhooks.set(settings, webhook);
    }
    return webhook;
  }
}
