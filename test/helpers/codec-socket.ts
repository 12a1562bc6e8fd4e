// A WebSocket for the official client that ends in one of our codecs instead of a network.
import type { Command } from '../../src/protocol/commands.ts';
import type { Codec, Message } from '../../src/protocol/replies.ts';

export interface CodecPeer {
  /** To be given to the client as its `websocket` option. */
  readonly websocket: new (url: string, protocol?: string) => unknown;
  /** Everything the client has sent, decoded. */
  readonly commands: Command[];
  /** Sends encoded messages in one frame. */
  send(...messages: Message[]): void;
}

type Listener = ((event: object) => void) | null;

/** `answer` gives the encoded replies to a command. */
export function codecPeer(
  codec: Codec,
  encoding: 'json' | 'protobuf',
  answer: (command: Command) => readonly (Message | undefined)[],
): CodecPeer {
  const commands: Command[] = [];
  const sockets: CodecSocket[] = [];
  const send = (...messages: Message[]) => {
    const frame =
      encoding === 'json'
        ? messages.map((message) => message.toString()).join('\n')
        : Buffer.concat(messages.map((message) => Buffer.from(message)));
    for (const socket of sockets) {
      socket.onmessage?.({ data: typeof frame === 'string' ? frame : new Uint8Array(frame).buffer });
    }
  };
  class CodecSocket {
    onopen: Listener = null;
    onmessage: Listener = null;
    onclose: Listener = null;
    onerror: Listener = null;
    binaryType = '';
    constructor() {
      sockets.push(this);
      queueMicrotask(() => this.onopen?.({}));
    }
    send(data: string | Uint8Array): void {
      const decoded = codec.decode(typeof data === 'string' ? Buffer.from(data) : Buffer.from(data));
      commands.push(...decoded);
      for (const command of decoded) {
        const replies = answer(command).filter((reply) => reply !== undefined);
        if (replies.length > 0) queueMicrotask(() => send(...replies));
      }
    }
    close(): void {
      sockets.splice(sockets.indexOf(this), 1);
      queueMicrotask(() => this.onclose?.({ code: 1000, reason: '' }));
    }
  }
  return { websocket: CodecSocket, commands, send };
}
