// What channels keep and allow, by namespace.
import { z } from 'zod';
import { choice, duration, flag, integer, pattern, section, text } from '../fields.ts';
import { channelProxy, namePattern } from './proxy.ts';

const dataFormat = choice(
  'What a publication may hold: empty for anything but nothing, `json`, `json_object`, or `binary` for nothing too.',
  ['', 'json', 'json_object', 'binary'],
  '',
);

const proxyName = (which: string) =>
  text(`Which endpoint: \`default\` is \`channel.proxy.${which}\`, others come from \`proxies\`.`, 'default');

const options = {
  presence: flag('Keep who is subscribed.'),
  join_leave: flag('Tell of joins and leaves.'),
  force_push_join_leave: flag('Push joins and leaves to everyone, not only to those who asked.'),
  history_size: integer('Publications kept. Together with `history_ttl`, or neither.', 0),
  history_ttl: duration('How long publications are kept; whole seconds.', '0s'),
  history_meta_ttl: duration(
    'How long offset and epoch outlive the publications. 0s: `channel.history_meta_ttl`.',
    '0s',
  ),
  force_positioning: flag('Watch the position of every subscriber.'),
  allow_positioning: flag('Clients may ask to have their position watched.'),
  force_recovery: flag('Recovery for every subscriber. Needs history.'),
  allow_recovery: flag('Clients may ask for recovery. Needs history to have an effect.'),
  force_recovery_mode: choice(
    '`stream` brings every publication missed, `cache` only the latest. Empty: stream.',
    ['', 'stream', 'cache'],
    '',
  ),
  auto_cache_recover: flag(
    'Bring the latest publication with every subscribe. Needs `force_recovery` and cache mode.',
  ),
  allowed_delta_types: z
    .array(z.enum(['fossil']))
    .prefault([])
    .meta({ description: 'Delta formats that clients may ask for.' }),
  delta_publish: flag('Treat every publication as one with a delta.'),
  allow_tags_filter: flag('Clients may filter publications by tags.'),
  allow_subscribe_for_client: flag('Any authenticated user may subscribe.'),
  allow_subscribe_for_anonymous: flag('Users without an id may, too.'),
  allow_publish_for_client: flag('Any authenticated user may publish.'),
  allow_publish_for_subscriber: flag('Subscribers may publish.'),
  allow_publish_for_anonymous: flag('Extends the two above to users without an id.'),
  allow_presence_for_client: flag('Any authenticated user may ask who is subscribed.'),
  allow_presence_for_subscriber: flag('Subscribers may ask.'),
  allow_presence_for_anonymous: flag('Extends the two above to users without an id.'),
  allow_history_for_client: flag('Any authenticated user may read the history.'),
  allow_history_for_subscriber: flag('Subscribers may read it.'),
  allow_history_for_anonymous: flag('Extends the two above to users without an id.'),
  allow_user_limited_channels: flag('Names such as `chat#17,42` are open to exactly these users.'),
  channel_regex: pattern(
    'The name after the namespace must match this (JavaScript syntax); also lifts the rule that names are ASCII.',
  ),
  publication_data_format: dataFormat,
  subscribe_proxy_enabled: flag('Ask the application about each subscribe.'),
  subscribe_proxy_name: proxyName('subscribe'),
  publish_proxy_enabled: flag('Ask the application about each publication of a client.'),
  publish_proxy_name: proxyName('publish'),
  sub_refresh_proxy_enabled: flag("Ask the application when a subscription's time is up."),
  sub_refresh_proxy_name: proxyName('sub_refresh'),
};

const namespace = z.strictObject({
  name: namePattern('Text before the first `:` of the channels concerned.'),
  ...options,
});

export const channel = section('Channels: what they keep and who may use them.', {
  without_namespace: section('Channels whose name has no namespace.', options),
  namespaces: z
    .array(namespace)
    .prefault([])
    .meta({ description: 'Channels by namespace. Everything is off until it is allowed here.' }),
  proxy: channelProxy,
  history_meta_ttl: duration('How long offset and epoch of a channel are kept.', '720h', 1_000),
  publication_data_format: dataFormat,
  max_length: integer('Characters in the name of a channel.', 255, 1),
  private_prefix: text('Channels that begin so need a subscription token. Empty: none.', '$'),
  namespace_boundary: text('Ends the namespace in the name of a channel.', ':'),
  user_boundary: text('Begins the list of users in the name of a channel.', '#'),
  user_separator: text('Separates the users in that list.', ','),
});

export type ChannelSection = z.output<typeof channel>;
export type ChannelRules = ChannelSection['without_namespace'];
