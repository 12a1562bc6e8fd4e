// One endpoint of the application: calls it, judges the answer, and keeps away from it while it is down.
import { randomUUID } from 'node:crypto';
import type { LabelledCells, LabelledDistributions } from '../../observe/hot-counters.ts';
import type { Logger } from '../../observe/logger.ts';
import { ReplyErrors } from '../../protocol/reply-errors.ts';
import type { Clock } from '../../util/clock.ts';
import { messageOf } from '../../util/errors.ts';
import type { Decision, Subject } from '../application.ts';
import type { BreakerPolicy, BreakerState } from './breaker-state.ts';
import { CallError } from '../call-error.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import { callHeaders } from './forwarded-headers.ts';
import { HttpEndpoint } from '../http-endpoint.ts';
import { NoJsonError } from './questions.ts';
import type { EndpointSettings, WebhookEvent } from './settings.ts';

export interface WebhookDeps {
  readonly clock: Clock;
  readonly log: Pick<Logger, 'info' | 'warn' | 'debug'>;
  readonly counters: { readonly hookCalls: LabelledCells; readonly hookSeconds: LabelledDistributions };
  /** For the User-Agent header. */
  readonly version: string;
}

/** For each worker. */
const MAX_CONNECTIONS = 256;
const MAX_CALLS = 8192;
const MAX_ANSWER_BYTES = 1_048_576;

export const BREAKER_POLICY: BreakerPolicy = { threshold: 10, minOpenMs: 1_000, maxOpenMs: 30_000 };

/** What is asked, and how its answer reads. */
export interface Inquiry<Answer> {
  readonly event: WebhookEvent;
  readonly subject: Subject;
  /** May throw NoJsonError. */
  readonly body: (settings: EndpointSettings) => string;
  /** Throws CallError. */
  readonly decision: (text: string) => Decision<Answer>;
}

export class Webhook {
  readonly #deps: WebhookDeps;
  readonly #settings: EndpointSettings;
  readonly #endpoint: HttpEndpoint;
  readonly #breaker: CircuitBreaker;

  constructor(deps: WebhookDeps, settings: EndpointSettings) {
    this.#deps = deps;
    this.#settings = settings;
    this.#endpoint = new HttpEndpoint({
      url: settings.url,
      timeoutMs: settings.timeoutMs,
      maxAnswerBytes: MAX_ANSWER_BYTES,
      maxConnections: MAX_CONNECTIONS,
      maxCalls: MAX_CALLS,
    });
    this.#breaker = new CircuitBreaker(
      {
        nowMs: () => deps.clock.monotonicMs(),
        onChange: (phase, openMs) => this.#tellPhase(phase, openMs),
      },
      BREAKER_POLICY,
    );
  }

  /** Rejects with CallError, logged already. */
  async ask<Answer>(inquiry: Inquiry<Answer>): Promise<Decision<Answer>> {
    const { event } = inquiry;
    const { hookCalls, hookSeconds } = this.#deps.counters;
    let body: string;
    try {
      body = inquiry.body(this.#settings);
    } catch (error) {
      if (!(error instanceof NoJsonError)) throw error;
      hookCalls.cell(event, 'no_json').value += 1;
      return { kind: 'error', error: ReplyErrors.badRequest };
    }
    const startedMs = this.#deps.clock.monotonicMs();
    try {
      const decision = await this.#breaker.run(() => this.#call(inquiry, body));
      hookCalls.cell(event, decision.kind).value += 1;
      return decision;
    } catch (error) {
      this.#tellFailure(inquiry, error);
      throw error;
    } finally {
      hookSeconds.of(event).observe((this.#deps.clock.monotonicMs() - startedMs) / 1000);
    }
  }

  close(): void {
    this.#endpoint.close();
  }

  async #call<Answer>(inquiry: Inquiry<Answer>, body: string): Promise<Decision<Answer>> {
    const headers = callHeaders(inquiry.subject, this.#settings, {
      accept: 'application/json',
      'content-type': 'application/json',
      'user-agent': `holdfast/${this.#deps.version}`,
      // The same when a call has to be sent a second time, on another connection.
      'x-request-id': randomUUID(),
    });
    const { status, text } = await this.#endpoint.post(body, headers);
    if (status === 200) return inquiry.decision(text);
    const meaning = this.#settings.statuses.get(status);
    if (meaning !== undefined) return meaning;
    throw new CallError('status', `answered with status ${status}`, { status });
  }

  #tellFailure({ event, subject }: Inquiry<unknown>, error: unknown): void {
    const fault = error instanceof CallError ? error.fault : 'failed';
    this.#deps.counters.hookCalls.cell(event, fault).value += 1;
    const reason = messageOf(error);
    const facts = { event, endpoint: this.#endpoint.label, client: subject.client, fault, reason };
    // That it is left alone was said once, when it began.
    if (fault === 'circuit_open') this.#deps.log.debug(facts, 'webhook not called');
    else this.#deps.log.warn(facts, 'webhook failed');
  }

  #tellPhase(phase: BreakerState['phase'], openMs: number): void {
    const facts = { endpoint: this.#endpoint.label };
    if (phase === 'open') this.#deps.log.warn({ ...facts, open_ms: openMs }, 'webhook left alone');
    else if (phase === 'closed') this.#deps.log.info(facts, 'webhook answers again');
  }
}
