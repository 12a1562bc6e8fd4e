// The shape of what webhooks answer (server API §6), checked before anything is believed. Null counts as absent, unknown
// members are ignored. Payloads (`data`, `info`, `meta`) are any JSON here: their text is cut out of the answer.
import { z } from 'zod';

/** Beyond it milliseconds are no exact numbers. */
const MAX_UNIX_S = Math.floor(Number.MAX_SAFE_INTEGER / 1000);

const text = z.string().nullish();
const flag = z.boolean().nullish();
const unixSeconds = z.int().min(0).max(MAX_UNIX_S).nullish();
const base64 = z.base64().nullish();

export const decisionSchema = z.object({
  result: z.unknown().optional(),
  error: z.object({ code: z.int().min(100).max(1999), message: text, temporary: flag }).nullish(),
  disconnect: z.object({ code: z.int().min(3000).max(4999), reason: text }).nullish(),
});

const override = z.object({ value: z.boolean().nullish() }).nullish();

export const subscriptionSchema = z.object({
  expire_at: unixSeconds,
  b64info: base64,
  b64data: base64,
  override: z
    .object({
      presence: override,
      join_leave: override,
      force_push_join_leave: override,
      force_positioning: override,
      force_recovery: override,
    })
    .nullish(),
});

export const connectSchema = z.object({
  user: text,
  expire_at: unixSeconds,
  b64info: base64,
  b64data: base64,
  meta: z.record(z.string(), z.unknown()).nullish(),
  channels: z.array(z.string()).nullish(),
  subs: z.record(z.string(), subscriptionSchema).nullish(),
});

export const refreshSchema = z.object({
  expired: flag,
  expire_at: unixSeconds,
  b64info: base64,
  meta: z.record(z.string(), z.unknown()).nullish(),
});

export const publishSchema = z.object({
  b64data: base64,
  skip_history: flag,
  tags: z.record(z.string(), z.string()).nullish(),
  idempotency_key: text,
  delta: flag,
  version: z.int().min(0).nullish(),
  version_epoch: text,
  /** Ours: accept and tell nobody. */
  drop: flag,
});

export const rpcSchema = z.object({ b64data: base64 });

export const subRefreshSchema = z.object({ expired: flag, expire_at: unixSeconds, b64info: base64 });
