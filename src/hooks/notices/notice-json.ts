// The form in which the application is told of an event (docs/webhooks.md).
import type { Notice } from '../application.ts';

export interface NoticeForm {
  /** Unique, and the same whenever this event is told. */
  readonly id: string;
  /** Id of the worker that saw it. */
  readonly node: string;
  readonly includeMeta: boolean;
}

export function noticeJson(notice: Notice, { id, node, includeMeta }: NoticeForm): string {
  const common = { id, type: notice.kind, time_ms: Math.round(notice.timeMs), node };
  if (!('subject' in notice)) {
    return JSON.stringify({ ...common, channel: notice.channel });
  }
  const { client, user, transport, protocol, meta } = notice.subject;
  const text = JSON.stringify({
    ...common,
    client,
    user,
    transport,
    protocol,
    ...(notice.kind === 'unsubscribe' && { channel: notice.channel }),
    code: notice.code,
    reason: notice.reason,
  });
  // As it was written: printing it anew would round large numbers.
  return includeMeta && meta !== undefined ? `${text.slice(0, -1)},"meta":${meta.toString('utf8')}}` : text;
}

/** Body of a request; the bytes that are signed. */
export function batchJson(events: readonly string[]): string {
  return `{"events":[${events.join(',')}]}`;
}
