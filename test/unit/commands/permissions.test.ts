import t from 'tap';
import { channelSettings } from '../../../src/app/channel-options.ts';
import {
  type Actor,
  mayPublish,
  mayReadHistory,
  mayReadPresence,
  maySubscribe,
} from '../../../src/commands/permissions.ts';
import { configSchema } from '../../../src/config/schema.ts';
import type { ChannelOptions } from '../../../src/protocol/channel-options.ts';

function options(switches: readonly string[]): ChannelOptions {
  const without_namespace = Object.fromEntries(switches.map((name) => [name, true]));
  return channelSettings(configSchema.parse({ channel: { without_namespace } }).channel).withoutNamespace;
}

const ACTORS = {
  user: { user: 'ann', isSubscribed: false, insecure: false },
  subscriber: { user: 'ann', isSubscribed: true, insecure: false },
  anonymous: { user: '', isSubscribed: false, insecure: false },
  anonymousSubscriber: { user: '', isSubscribed: true, insecure: false },
  insecure: { user: '', isSubscribed: false, insecure: true },
} satisfies Record<string, Actor>;

const NOBODY_ELSE = ['insecure'];

t.test('subscribing', async (t) => {
  const cases: [switches: string[], allowed: string[]][] = [
    [[], NOBODY_ELSE],
    [['allow_subscribe_for_anonymous'], NOBODY_ELSE],
    [['allow_subscribe_for_client'], ['user', 'subscriber', 'insecure']],
    [['allow_subscribe_for_client', 'allow_subscribe_for_anonymous'], Object.keys(ACTORS)],
  ];
  for (const [switches, allowed] of cases) {
    const actual = Object.entries(ACTORS).filter(([, actor]) => maySubscribe(options(switches), actor));
    t.strictSame(
      actual.map(([name]) => name),
      allowed,
      switches.join(),
    );
  }
});

for (const [what, may] of [
  ['publish', mayPublish],
  ['presence', mayReadPresence],
  ['history', mayReadHistory],
] as const) {
  t.test(what, async (t) => {
    const client = `allow_${what}_for_client`;
    const subscriber = `allow_${what}_for_subscriber`;
    const anonymous = `allow_${what}_for_anonymous`;
    const cases: [switches: string[], allowed: string[]][] = [
      [[], NOBODY_ELSE],
      [[anonymous], NOBODY_ELSE],
      [[client], ['user', 'subscriber', 'insecure']],
      [[subscriber], ['subscriber', 'insecure']],
      [
        [client, subscriber],
        ['user', 'subscriber', 'insecure'],
      ],
      [[client, anonymous], Object.keys(ACTORS)],
      [
        [subscriber, anonymous],
        ['subscriber', 'anonymousSubscriber', 'insecure'],
      ],
    ];
    for (const [switches, allowed] of cases) {
      const actual = Object.entries(ACTORS).filter(([, actor]) => may(options(switches), actor));
      t.strictSame(
        actual.map(([name]) => name),
        allowed,
        switches.join(),
      );
    }
    const others = ['publish', 'presence', 'history', 'subscribe'].filter((each) => each !== what);
    const unrelated = options(
      others.flatMap((each) => [`allow_${each}_for_client`, `allow_${each}_for_anonymous`]),
    );
    t.notOk(may(unrelated, ACTORS.subscriber), 'what is allowed otherwise does not count');
  });
}
