// Finds the options of a channel that an API request names.
import { isReplyError, type Namespaces } from '../hub/namespaces.ts';
import type { ChannelOptions } from '../protocol/channel-options.ts';
import { fromReplyError } from './api-errors.ts';

export function optionsOf(namespaces: Pick<Namespaces, 'resolve'>, channel: string): ChannelOptions {
  const resolved = namespaces.resolve(channel);
  if (!isReplyError(resolved)) return resolved.options;
  throw fromReplyError(resolved, `channel ${JSON.stringify(channel)}`);
}
