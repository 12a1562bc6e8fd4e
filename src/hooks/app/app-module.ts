// An application's own module, in the terms of Application.
import type { LabelledCells } from '../../observe/hot-counters.ts';
import { CloseCauses } from '../../protocol/close-causes.ts';
import { ReplyErrors } from '../../protocol/reply-errors.ts';
import { UnavailableError, messageOf } from '../../util/errors.ts';
import type { Application, Decision, MessageDecision, Notice, Subject } from '../application.ts';
import {
  connectAnswer,
  publishAnswer,
  refreshAnswer,
  subRefreshAnswer,
  subscribeAnswer,
} from './app-answers.ts';
import { parsedJson, payloadFrom, received } from './payloads.ts';
import { AppRunner, type AppRunnerDeps, type HandlerName } from './app-runner.ts';
import type { Gateway } from './gateway.ts';
import type { App, Caller, Context, RpcHandler } from './handlers.ts';

/** Notices under way in handlers at a time; more are dropped and counted. */
const MAX_NOTICES = 10_000;

export type AppModuleDeps = AppRunnerDeps & { readonly counters: { readonly notices: LabelledCells } };

export class AppModule {
  readonly connect: Application['connect'];
  readonly refresh: Application['refresh'];
  readonly subscribe: ReturnType<Application['subscribe']>;
  readonly publish: ReturnType<Application['publish']>;
  readonly subRefresh: ReturnType<Application['subRefresh']>;
  readonly message: Application['message'];
  readonly #app: App;
  readonly #runner: AppRunner;
  readonly #deps: AppModuleDeps;
  #notices = 0;
  #isOverflowing = false;
  #isStopped = false;

  constructor(deps: AppModuleDeps, app: App) {
    this.#deps = deps;
    this.#app = app;
    this.#runner = new AppRunner(deps);
    this.connect =
      app.connect &&
      ((question) => {
        const { subject, data, name, version, channels } = question;
        return this.#decide('connect', subject, {}, NO_CREDENTIALS, connectAnswer, (caller, context) =>
          app.connect?.({ caller, ...received(data), name, version, channels }, context),
        );
      });
    this.refresh =
      app.refresh &&
      ((subject) =>
        this.#decide('refresh', subject, {}, EXPIRED, refreshAnswer, (caller, context) =>
          app.refresh?.({ caller }, context),
        ));
    this.subscribe =
      app.subscribe &&
      (({ subject, channel, data }) =>
        this.#decide('subscribe', subject, { channel }, DENIED, subscribeAnswer, (caller, context) =>
          app.subscribe?.({ caller, channel, ...received(data) }, context),
        ));
    this.publish =
      app.publish &&
      (({ subject, channel, data }) =>
        this.#decide('publish', subject, { channel }, DENIED, publishAnswer, (caller, context) =>
          app.publish?.({ caller, channel, ...received(data) }, context),
        ));
    this.subRefresh =
      app.subRefresh &&
      (({ subject, channel }) =>
        this.#decide('subRefresh', subject, { channel }, EXPIRED, subRefreshAnswer, (caller, context) =>
          app.subRefresh?.({ caller, channel }, context),
        ));
    this.message = app.message && ((subject, data) => this.#takeMessage(subject, data));
  }

  rpc(method: string): ReturnType<Application['rpc']> {
    const { rpc } = this.#app;
    if (rpc === undefined) return undefined;
    const handler = typeof rpc === 'function' ? rpc : ownHandler(rpc, method);
    if (handler === undefined) return async () => ({ kind: 'error', error: ReplyErrors.methodNotFound });
    return ({ subject, data }) =>
      this.#runner.decide('rpc', { client: subject.client, method }, async (context) => {
        const request = { caller: callerOf(subject), method, ...received(data) };
        return { kind: 'yes', answer: payloadFrom(await handler.call(this.#app, request, context)) };
      });
  }

  notify(notice: Notice): void {
    const told = this.#teller(notice);
    if (told === undefined || this.#isStopped) return;
    if (this.#notices >= MAX_NOTICES) {
      this.#drop(told.event);
      return;
    }
    this.#notices += 1;
    // Not now: whoever tells may be in the middle of something.
    Promise.resolve()
      .then(() =>
        this.#runner.decide(told.event, told.facts, async (context) => {
          await told.tell(context);
          return DONE;
        }),
      )
      // Logged by the runner; nobody waits for it.
      .catch(() => undefined)
      .finally(() => {
        this.#notices -= 1;
        if (this.#notices === 0) this.#isOverflowing = false;
      });
  }

  /** Rejects when the application's own start does. */
  async start(gateway: Gateway): Promise<void> {
    this.#runner.provide(gateway);
    try {
      await this.#app.start?.(gateway);
    } catch (error) {
      const reason = messageOf(error);
      throw new UnavailableError(`app.module: start failed: ${reason}`, { cause: error });
    }
  }

  /** Never rejects. Harmless when repeated, and before `start`. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    if (this.#app.stop === undefined) return;
    const stopped = this.#runner.decide('stop', {}, async () => {
      await this.#app.stop?.();
      return DONE;
    });
    // Logged by the runner.
    await stopped.catch(() => undefined);
  }

  #drop(event: HandlerName): void {
    this.#deps.counters.notices.cell('dropped').value += 1;
    // Once for each time: the counter says how many.
    if (this.#isOverflowing) return;
    this.#isOverflowing = true;
    this.#deps.log.warn({ event, running: this.#notices }, 'app handlers too slow for notices');
  }

  #decide<Answer>(
    event: HandlerName,
    subject: Subject,
    facts: Readonly<Record<string, unknown>>,
    /** What it means to return nothing. */
    refusal: Decision<Answer>,
    answerOf: (value: unknown) => Answer,
    handle: (caller: Caller, context: Context) => unknown,
  ): Promise<Decision<Answer>> {
    return this.#runner.decide(event, { client: subject.client, ...facts }, async (context) => {
      const returned: unknown = await handle(callerOf(subject), context);
      if (returned === undefined || returned === null) return refusal;
      return { kind: 'yes', answer: answerOf(returned) };
    });
  }

  async #takeMessage(subject: Subject, data: Buffer): Promise<MessageDecision> {
    try {
      const decision = await this.#runner.decide('message', { client: subject.client }, async (context) => {
        await this.#app.message?.({ caller: callerOf(subject), ...received(data) }, context);
        return DONE;
      });
      // A message has no reply that could say no.
      return decision.kind === 'disconnect' ? decision : DONE;
    } catch {
      // Logged by the runner.
      return DONE;
    }
  }

  #teller(notice: Notice): Teller | undefined {
    const app = this.#app;
    const time = new Date(notice.timeMs);
    switch (notice.kind) {
      case 'disconnect': {
        if (app.disconnect === undefined) return undefined;
        const { subject, code, reason } = notice;
        const event = { caller: callerOf(subject), time, code, reason };
        const facts = { client: subject.client };
        return { event: 'disconnect', facts, tell: (context) => app.disconnect?.(event, context) };
      }
      case 'unsubscribe': {
        if (app.unsubscribe === undefined) return undefined;
        const { subject, channel, code, reason } = notice;
        const event = { caller: callerOf(subject), channel, time, code, reason };
        const facts = { client: subject.client, channel };
        return { event: 'unsubscribe', facts, tell: (context) => app.unsubscribe?.(event, context) };
      }
      case 'channel_occupied':
      case 'channel_vacated': {
        const name = notice.kind === 'channel_occupied' ? 'channelOccupied' : 'channelVacated';
        if (app[name] === undefined) return undefined;
        const { channel } = notice;
        return {
          event: name,
          facts: { channel },
          tell: (context) => app[name]?.({ channel, time }, context),
        };
      }
    }
  }
}

interface Teller {
  readonly event: HandlerName;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly tell: (context: Context) => void | Promise<void> | undefined;
}

const DONE = Object.freeze({ kind: 'yes', answer: undefined });
const NO_CREDENTIALS: Decision<never> = Object.freeze({ kind: 'disconnect', cause: CloseCauses.badRequest });
const DENIED: Decision<never> = Object.freeze({ kind: 'error', error: ReplyErrors.permissionDenied });
const EXPIRED: Decision<ReturnType<typeof refreshAnswer>> = Object.freeze({
  kind: 'yes',
  answer: refreshAnswer({ expired: true }),
});

function ownHandler(handlers: Readonly<Record<string, RpcHandler>>, method: string): RpcHandler | undefined {
  return Object.hasOwn(handlers, method) ? handlers[method] : undefined;
}

function callerOf(subject: Subject): Caller {
  const { client, user, transport, protocol, meta, headers, emulatedHeaders } = subject;
  return { client, user, transport, protocol, meta: parsedJson(meta), headers, emulatedHeaders };
}
