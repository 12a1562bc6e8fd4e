// What socket.io's client does before it has a WebSocket unless it is told otherwise: it opens the session with HTTP requests.
// Done here for less than by that client: one request after the other on one connection, and no poll is left open.
import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Target } from './connection.ts';

const PATH = '/socket.io/?EIO=4&transport=polling';
const RECORD_SEPARATOR = '\u001E';

/** Resolves with the id of the session; rejects with what the server says instead. */
export async function pollingSession(target: Target, localAddress: string): Promise<string> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = async (path: string, body?: string): Promise<string> => {
    const method = body === undefined ? 'GET' : 'POST';
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request({ ...target, localAddress, path, method, agent }, resolve)
        .on('error', reject)
        .end(body);
    });
    const answer = await text(response);
    if (response.statusCode !== 200) throw new Error(`${path}: ${String(response.statusCode)} ${answer}`);
    return answer;
  };
  try {
    // Engine.IO 0: open.
    const opened = await ask(PATH);
    const sid = /^0.*"sid":"([\w-]+)"/.exec(opened)?.[1];
    if (sid === undefined) throw new Error(`no session: ${opened}`);
    // 40: connect, and what answers it.
    await ask(`${PATH}&sid=${sid}`, '40');
    const answers = (await ask(`${PATH}&sid=${sid}`)).split(RECORD_SEPARATOR);
    if (!answers.some((answer) => answer.startsWith('40'))) throw new Error(`refused: ${answers.join(' ')}`);
    return sid;
  } finally {
    agent.destroy();
  }
}
