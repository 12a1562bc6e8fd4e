// From what handlers return to answers. Handlers may be plain JavaScript: nothing is believed before it was checked.
import { z } from 'zod';
import type {
  ConnectAnswer,
  PublishAnswer,
  RefreshAnswer,
  SubRefreshAnswer,
  SubscriptionAnswer,
  SubscriptionOverride,
} from '../application.ts';
import { payloadFrom } from './payloads.ts';

const data = z.unknown().optional();
const flag = z.boolean().nullish();
const text = z.string().nullish();
const date = z.date().nullish();

const subscription = z.strictObject({
  expireAt: date,
  info: data,
  data,
  override: z
    .strictObject({
      presence: flag,
      joinLeave: flag,
      forcePushJoinLeave: flag,
      forcePositioning: flag,
      forceRecovery: flag,
    })
    .nullish(),
});

const connect = z.strictObject({
  user: text,
  expireAt: date,
  info: data,
  data,
  meta: data,
  channels: z.array(z.string()).nullish(),
  subs: z.record(z.string(), subscription).nullish(),
});

const refresh = z.strictObject({ expired: flag, expireAt: date, info: data, meta: data });

const publish = z.strictObject({
  drop: flag,
  data,
  skipHistory: flag,
  tags: z.record(z.string(), z.string()).nullish(),
  idempotencyKey: text,
  delta: flag,
  version: z.int().min(0).nullish(),
  versionEpoch: text,
});

export function connectAnswer(value: unknown): ConnectAnswer {
  const result = checked(connect, value);
  const subs = new Map<string, SubscriptionAnswer>();
  for (const channel of result.channels ?? []) subs.set(channel, subscriptionOf({}));
  for (const [channel, options] of Object.entries(result.subs ?? {}))
    subs.set(channel, subscriptionOf(options));
  return {
    user: result.user ?? '',
    info: payloadFrom(result.info ?? undefined),
    meta: payloadFrom(result.meta ?? undefined),
    data: payloadFrom(result.data),
    expireAtMs: millis(result.expireAt),
    subs,
  };
}

export function refreshAnswer(value: unknown): RefreshAnswer {
  const result = checked(refresh, value);
  return {
    expired: result.expired ?? false,
    expireAtMs: millis(result.expireAt),
    info: payloadFrom(result.info ?? undefined),
    meta: payloadFrom(result.meta ?? undefined),
  };
}

export function subscribeAnswer(value: unknown): SubscriptionAnswer {
  return subscriptionOf(checked(subscription, value));
}

export function publishAnswer(value: unknown): PublishAnswer {
  const result = checked(publish, value);
  return {
    drop: result.drop ?? false,
    data: payloadFrom(result.data),
    skipHistory: result.skipHistory ?? false,
    tags: result.tags ?? undefined,
    idempotencyKey: result.idempotencyKey || undefined,
    delta: result.delta ?? false,
    version: result.version ?? 0,
    versionEpoch: result.versionEpoch ?? '',
  };
}

export function subRefreshAnswer(value: unknown): SubRefreshAnswer {
  const { expired, expireAtMs, info } = refreshAnswer(value);
  return { expired, expireAtMs, info };
}

function subscriptionOf(result: z.output<typeof subscription>): SubscriptionAnswer {
  return {
    info: payloadFrom(result.info ?? undefined),
    data: payloadFrom(result.data),
    expireAtMs: millis(result.expireAt),
    override: overrideOf(result.override),
  };
}

function overrideOf(given: z.output<typeof subscription>['override']): SubscriptionOverride {
  const named = Object.entries(given ?? {}).filter(([, value]) => typeof value === 'boolean');
  return Object.fromEntries(named);
}

/** 0 is never. */
function millis(time: Date | null | undefined): number {
  return time ? time.getTime() : 0;
}

/** The message is for the log of the developer. */
function checked<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? 'what it returned' : issue.path.join('.');
  throw new TypeError(`${where}: ${issue?.message ?? 'not understood'}`);
}
