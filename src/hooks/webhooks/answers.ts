// From the text that a webhook answered with to a decision. Throws CallError when it is not what the event asks for.
import type { z } from 'zod';
import { applicationCause, CloseCauses } from '../../protocol/close-causes.ts';
import { memberSpan, memberSpans } from '../../protocol/json-span.ts';
import type {
  ConnectAnswer,
  Decision,
  PublishAnswer,
  RefreshAnswer,
  SubRefreshAnswer,
  SubscriptionAnswer,
  SubscriptionOverride,
} from '../application.ts';
import {
  connectSchema,
  decisionSchema,
  publishSchema,
  refreshSchema,
  rpcSchema,
  subRefreshSchema,
  subscriptionSchema,
} from './answer-schema.ts';
import { CallError } from '../call-error.ts';
import { payloadOf } from './payload.ts';

export function connectDecision(text: string): Decision<ConnectAnswer> {
  return decide(text, noCredentials, (value, result) => {
    const parsed = checked(connectSchema, value);
    const spans = memberSpans(result);
    const options = memberSpans(spans.get('subs') ?? '{}');
    const subs = new Map<string, SubscriptionAnswer>();
    for (const channel of parsed.channels ?? []) subs.set(channel, NO_OPTIONS);
    for (const [channel, each] of Object.entries(parsed.subs ?? {})) {
      subs.set(channel, subscriptionAnswer(each, options.get(channel) ?? '{}'));
    }
    return {
      user: parsed.user ?? '',
      info: payloadOf(spans, 'info', parsed.b64info),
      meta: payloadOf(spans, 'meta', ''),
      data: payloadOf(spans, 'data', parsed.b64data),
      expireAtMs: (parsed.expire_at ?? 0) * 1000,
      subs,
    };
  });
}

export function refreshDecision(text: string): Decision<RefreshAnswer> {
  return decide(text, hasExpired, (value, result) => {
    const parsed = checked(refreshSchema, value);
    const spans = memberSpans(result);
    return {
      expired: parsed.expired ?? false,
      expireAtMs: (parsed.expire_at ?? 0) * 1000,
      info: payloadOf(spans, 'info', parsed.b64info),
      meta: payloadOf(spans, 'meta', ''),
    };
  });
}

export function subscribeDecision(text: string): Decision<SubscriptionAnswer> {
  return decide(text, accepted(NO_OPTIONS), (value, result) =>
    subscriptionAnswer(checked(subscriptionSchema, value), result),
  );
}

export function publishDecision(text: string): Decision<PublishAnswer> {
  return decide(text, accepted(UNCHANGED), (value, result) => {
    const parsed = checked(publishSchema, value);
    return {
      drop: parsed.drop ?? false,
      data: payloadOf(memberSpans(result), 'data', parsed.b64data),
      skipHistory: parsed.skip_history ?? false,
      tags: parsed.tags ?? undefined,
      idempotencyKey: parsed.idempotency_key || undefined,
      delta: parsed.delta ?? false,
      version: parsed.version ?? 0,
      versionEpoch: parsed.version_epoch ?? '',
    };
  });
}

/** Null is an answer like others. */
export function rpcDecision(text: string): Decision<Buffer | undefined> {
  return decide(text, accepted(undefined), (value, result) => {
    const parsed = checked(rpcSchema, value);
    return payloadOf(memberSpans(result), 'data', parsed.b64data, { nullIsValue: true });
  });
}

export function subRefreshDecision(text: string): Decision<SubRefreshAnswer> {
  return decide(text, hasExpired, (value, result) => {
    const parsed = checked(subRefreshSchema, value);
    return {
      expired: parsed.expired ?? false,
      expireAtMs: (parsed.expire_at ?? 0) * 1000,
      info: payloadOf(memberSpans(result), 'info', parsed.b64info),
    };
  });
}

/** A disconnect goes before an error, an error before a result; `otherwise` is what none of them means. */
function decide<Answer>(
  text: string,
  otherwise: (value: unknown) => Decision<Answer>,
  read: (result: unknown, resultText: string) => Answer,
): Decision<Answer> {
  const value = parseJson(text);
  const { result, error, disconnect } = checked(decisionSchema, value);
  if (disconnect) {
    return { kind: 'disconnect', cause: applicationCause(disconnect.code, disconnect.reason ?? '') };
  }
  if (error) {
    const { code, message, temporary } = error;
    return { kind: 'error', error: { code, message: message ?? '', temporary: temporary ?? false } };
  }
  if (result === undefined || result === null) return otherwise(value);
  return { kind: 'yes', answer: read(result, memberSpan(text, ['result']) ?? '{}') };
}

/** Connect without credentials ends the connection (server API §6.2). */
function noCredentials(): Decision<never> {
  return { kind: 'disconnect', cause: CloseCauses.badRequest };
}

function hasExpired(): Decision<RefreshAnswer> {
  return { kind: 'yes', answer: EXPIRED };
}

/** `{}` says yes. An object that has members, but none of ours, was meant for somebody else and permits nothing. */
function accepted<Answer>(answer: Answer): (value: unknown) => Decision<Answer> {
  return (value) => {
    const names = Object.keys(value ?? {});
    if (names.length === 0 || names.includes('result')) return { kind: 'yes', answer };
    throw new CallError('answer', 'answered with neither result, error nor disconnect');
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CallError(
      'answer',
      text === '' ? 'answered with nothing' : 'answered with something that is no JSON',
    );
  }
}

/** Says where the answer is wrong, and never what it holds. */
function checked<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? 'the answer' : issue.path.join('.');
  throw new CallError('answer', `${where}: ${issue?.message ?? 'not understood'}`);
}

function subscriptionAnswer(parsed: z.output<typeof subscriptionSchema>, text: string): SubscriptionAnswer {
  const spans = memberSpans(text);
  return {
    info: payloadOf(spans, 'info', parsed.b64info),
    data: payloadOf(spans, 'data', parsed.b64data),
    expireAtMs: (parsed.expire_at ?? 0) * 1000,
    override: overrideOf(parsed.override),
  };
}

function overrideOf(parsed: z.output<typeof subscriptionSchema>['override']): SubscriptionOverride {
  return {
    ...(parsed?.presence && { presence: parsed.presence.value ?? false }),
    ...(parsed?.join_leave && { joinLeave: parsed.join_leave.value ?? false }),
    ...(parsed?.force_push_join_leave && {
      forcePushJoinLeave: parsed.force_push_join_leave.value ?? false,
    }),
    ...(parsed?.force_positioning && { forcePositioning: parsed.force_positioning.value ?? false }),
    ...(parsed?.force_recovery && { forceRecovery: parsed.force_recovery.value ?? false }),
  };
}

const NO_OPTIONS: SubscriptionAnswer = Object.freeze({
  info: undefined,
  data: undefined,
  expireAtMs: 0,
  override: {},
});

const EXPIRED: RefreshAnswer = Object.freeze({
  expired: true,
  expireAtMs: 0,
  info: undefined,
  meta: undefined,
});

const UNCHANGED: PublishAnswer = Object.freeze({
  drop: false,
  data: undefined,
  skipHistory: false,
  tags: undefined,
  idempotencyKey: undefined,
  delta: false,
  version: 0,
  versionEpoch: '',
});
