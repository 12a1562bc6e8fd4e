// How each server is spoken to: what a client sends to open, subscribe and publish, and what answers mean. Publications
// never come here: they are recognised by their mark in the bytes.

export type DialectName = 'bare' | 'socket.io' | 'socket.io from polling' | 'holdfast' | 'holdfast protobuf';

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
  /** A session is opened first, and its id belongs to the path: see polling-session.ts. */
  readonly polls: boolean;
  /** Binary frames of messages with their length before them; all strings here hold a byte in each character. */
  readonly binary: boolean;
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
  polls: false,
  binary: false,
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
  polls: false,
  binary: false,
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

// The session exists: the WebSocket is probed and takes over.
const socketioFromPolling: Dialect = {
  ...socketio,
  polls: true,
  open: () => ['2probe'],
  understand: (message) =>
    message === '3probe' ? { reply: '5', connected: true, acks: 1 } : socketio.understand(message),
};

const holdfast: Dialect = {
  path: '/connection/websocket',
  polls: false,
  binary: false,
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

// Fields of Command: 1 id, 4 connect, 5 subscribe, 7 publish. Of Reply: 1 id, 2 error, 5 connect, 6 subscribe, 8 publish.
const holdfastProtobuf: Dialect = {
  path: '/connection/websocket?cf_protocol=protobuf',
  polls: false,
  binary: true,
  mayStrand: false,
  open: (channels) => [command(1, 4, ''), ...holdfastProtobuf.subscribe(channels, 2)],
  afterConnect: () => [],
  openAcks: (channelCount) => channelCount + 1,
  subscribe: (channels, firstId) =>
    channels.map((channel, index) => command(firstId + index, 5, bytesField(1, channel))),
  publish: (channel, data, id) => command(id, 7, bytesField(1, channel) + bytesField(2, data)),
  understand(message) {
    if (message === '') return { reply: '\0' };
    // Behind the tag and the varint of the id stands the tag of the answer.
    let at = 1;
    while (message.charCodeAt(at) > 0x7f) at++;
    const field = message.charCodeAt(at + 1) >> 3;
    if (message.charCodeAt(0) === 0x08) {
      if (field === 5 || field === 6) return { acks: 1 };
      if (field === 8) return {};
    }
    return { error: message };
  },
};

function command(id: number, field: number, request: string): string {
  const body = `\x08${varint(id)}${bytesField(field, request)}`;
  return varint(body.length) + body;
}

function bytesField(field: number, bytes: string): string {
  return String.fromCharCode((field << 3) | 2) + varint(bytes.length) + bytes;
}

function varint(value: number): string {
  return value < 0x80
    ? String.fromCharCode(value)
    : String.fromCharCode((value & 0x7f) | 0x80) + varint(value >>> 7);
}

export const dialects: Readonly<Record<DialectName, Dialect>> = {
  bare,
  'socket.io': socketio,
  'socket.io from polling': socketioFromPolling,
  holdfast,
  'holdfast protobuf': holdfastProtobuf,
};
