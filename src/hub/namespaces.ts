// Finds the options of a channel by its name (options reference §1, §4): text before the first boundary is the namespace.
import type { ChannelOptions } from '../protocol/channel-options.ts';
import { type ReplyError, ReplyErrors } from '../protocol/reply-errors.ts';

export interface ChannelNaming {
  readonly maxLength: number;
  readonly privatePrefix: string;
  readonly namespaceBoundary: string;
  readonly userBoundary: string;
  readonly userSeparator: string;
}

export interface ResolvedChannel {
  readonly options: ChannelOptions;
  /** A leading `$`: only with a subscription token. */
  readonly isPrivate: boolean;
  /** Users named after `#`, when there is a `#`. */
  readonly users: readonly string[] | undefined;
}

const ASCII_ONLY = /^[\x20-\x7e]*$/;

export class Namespaces {
  readonly #naming: ChannelNaming;
  readonly #withoutNamespace: ChannelOptions;
  readonly #byName: ReadonlyMap<string, ChannelOptions>;

  constructor(
    naming: ChannelNaming,
    withoutNamespace: ChannelOptions,
    namespaces: ReadonlyMap<string, ChannelOptions>,
  ) {
    this.#naming = naming;
    this.#withoutNamespace = withoutNamespace;
    this.#byName = namespaces;
  }

  /** Options and parts of a channel, or the reply error that its name earns. */
  resolve(channel: string): ResolvedChannel | ReplyError {
    const { maxLength, privatePrefix, namespaceBoundary, userBoundary, userSeparator } = this.#naming;
    // Names that begin with a control character are our own.
    if (channel.length > maxLength || channel.charCodeAt(0) < 0x20) return ReplyErrors.badRequest;
    const isPrivate = privatePrefix !== '' && channel.startsWith(privatePrefix);
    const name = isPrivate ? channel.slice(privatePrefix.length) : channel;
    const boundary = namespaceBoundary === '' ? -1 : name.indexOf(namespaceBoundary);
    const options = boundary === -1 ? this.#withoutNamespace : this.#byName.get(name.slice(0, boundary));
    if (options === undefined) return ReplyErrors.unknownChannel;
    const rest = boundary === -1 ? name : name.slice(boundary + namespaceBoundary.length);
    if (options.channelRegex === undefined ? !ASCII_ONLY.test(channel) : !options.channelRegex.test(rest)) {
      return ReplyErrors.badRequest;
    }
    const users = userBoundary === '' ? -1 : rest.lastIndexOf(userBoundary);
    return {
      options,
      isPrivate,
      users: users === -1 ? undefined : rest.slice(users + userBoundary.length).split(userSeparator),
    };
  }
}

export function isReplyError(value: ResolvedChannel | ReplyError): value is ReplyError {
  return 'code' in value;
}
