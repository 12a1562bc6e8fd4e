// How each server is spoken to: what a client sends to open, subscribe and publish, and what answers mean. Publications
// never come here: they are recognised by their mark in the bytes.

export type DialectName = 'bare' | 'socket.io' | 'holdfast';

/** What a message that is no publication means to the client. */
interface Meaning {
  /** Frame to send back. */
  readonly reply?: string;
  /** The session stands: now `afterConnect` may be sent. */
  readonly connected?: boolean;
  /** Answers that `open` or `subscribe` waited for. */
  readonly acks?: number;
  /** The server refused something: the run is void. */
  readonly error?: string;
}

export interface Dialect {
  readonly path: string;
  /** The server is known to leave some clients without an answer, who then have to come again. */
  readonly mayStrand: boolean;
  /** Frames to send after the upgrade, and those that must wait for the session. */
  open(channels: readonly string[]): readonly string[];
  afterConnect(channels: readonly string[]): readonly string[];
  /** Answers to wait for until the connection is ready. */
  openAcks(channelCount: number): number;
  subscribe(channels: readonly string[], firstId: number): readonly string[];
  publish(channel: string, data: string, id: number): string;
  understand(message: string): Meaning;
}

/** Ids of subscribe commands of `open` follow the one of connect; publishes count up from here. */
export const FIRST_PUBLISH_ID = 1_000_000;

const bare: Dialect = {
  path: '/',
  mayStrand: false,
  open: (channels) => bare.subscribe(channels, 2),
  afterConnect: () => [],
  openAcks: (channelCount) => channelCount,
  subscribe: (channels) => channels.map((channel) => `{"s":"${channel}"}`),
  publish: (channel, data) => `{"p":"${channel}","d":${data}}`,
  understand(message) {
    if (message.startsWith('{"s":')) return { acks: 1 };
    if (message === '{"p":1}') return {};
    return { error: message };
  },
};

// Engine.IO packet type, then Socket.IO packet type: 0 open, 2 ping, 3 pong, 40 connect, 42 event, 43 acknowledgement.
const socketio: Dialect = {
  path: '/socket.io/?EIO=4&transport=websocket',
  // @socket.io/sticky: a primary may read on for a moment after it passed a socket to a worker, and drop what it read.
  mayStrand: true,
  open: () => [],
  afterConnect: (channels) => socketio.subscribe(channels, 2),
  openAcks: (channelCount) => channelCount + 1,
  subscribe: (channels, firstId) =>
    channels.map((channel, index) => `42${firstId + index}["join","${channel}"]`),
  publish: (channel, data) => `42["pub","${channel}",${data}]`,
  understand(message) {
    if (message === '2') return { reply: '3' };
    if (message.startsWith('0')) return { reply: '40' };
    if (message.startsWith('40')) return { connected: true, acks: 1 };
    if (message.startsWith('43')) return { acks: 1 };
    if (message === '42["p"]') return {};
    return { error: message };
  },
};

const holdfast: Dialect = {
  path: '/connection/websocket',
  mayStrand: false,
  // Connect and subscribes leave in one frame, as the official SDKs do it.
  open: (channels) => [['{"id":1,"connect":{}}', ...subscribeCommands(channels, 2)].join('\n')],
  afterConnect: () => [],
  openAcks: (channelCount) => channelCount + 1,
  subscribe: (channels, firstId) => [subscribeCommands(channels, firstId).join('\n')],
  publish: (channel, data, id) => `{"id":${id},"publish":{"channel":"${channel}","data":${data}}}`,
  understand(message) {
    if (message === '{}') return { reply: '{}' };
    const reply: unknown = JSON.parse(message);
    if (typeof reply !== 'object' || reply === null || 'error' in reply) return { error: message };
    if ('connect' in reply || 'subscribe' in reply) return { acks: 1 };
    if ('publish' in reply) return {};
    return { error: message };
  },
};

function subscribeCommands(channels: readonly string[], firstId: number): string[] {
  return channels.map((channel, index) => `{"id":${firstId + index},"subscribe":{"channel":"${channel}"}}`);
}

export const dialects: Readonly<Record<DialectName, Dialect>> = { bare, 'socket.io': socketio, holdfast };
