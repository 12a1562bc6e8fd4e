// A publishing backend: POST /api/publish over kept connections, one request at a time on each.
import { Agent, request } from 'node:http';
import { API_KEY } from './subjects.ts';

export class HttpApi {
  readonly #agent: Agent;
  readonly #port: number;

  constructor(port: number, connections: number) {
    this.#port = port;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  /** Resolves with the offset, undefined without history; rejects when the publication was refused. */
  async publish(channel: string, data: unknown): Promise<number | undefined> {
    const body = JSON.stringify({ channel, data });
    const text = await this.#post('/api/publish', body);
    const reply: { result?: { offset?: number } } = JSON.parse(text);
    if (reply.result === undefined) throw new Error(`publication refused: ${text}`);
    return reply.result.offset;
  }

  close(): void {
    this.#agent.destroy();
  }

  async #post(path: string, body: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port: this.#port,
          path,
          method: 'POST',
          agent: this.#agent,
          headers: {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
            'x-api-key': API_KEY,
          },
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => {
            text += part;
          });
          response.once('error', reject).once('end', () => {
            resolve(text);
          });
        },
      );
      sent.once('error', reject).end(body);
    });
  }
}
