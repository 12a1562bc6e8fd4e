// Connections that stay where they are until they are let go: a handler of the application owes each of them a reply.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OfficialClient } from './centrifuge.ts';
import type { Gateway } from './gateway.ts';
import type { Scope } from './scope.ts';
import { tempDir } from './temp-dir.ts';

export class Anchors {
  readonly #module: string;
  readonly clients: OfficialClient[] = [];
  readonly #letGoFile: string;
  readonly #replies: Promise<unknown>[] = [];

  private constructor(module: string, letGoFile: string) {
    this.#module = module;
    this.#letGoFile = letGoFile;
  }

  static async forge(scope: Scope): Promise<Anchors> {
    const directory = await tempDir(scope);
    const anchors = new Anchors(join(directory, 'app.mjs'), join(directory, 'let-go'));
    await writeFile(
      anchors.#module,
      `import { existsSync } from 'node:fs';
      export default { rpc: { async wait() {
        while (!existsSync(${JSON.stringify(anchors.#letGoFile)})) await new Promise((go) => setTimeout(go, 20));
        return 'let go';
      } } };`,
    );
    return anchors;
  }

  /** For the configuration of the gateway. */
  get app(): { readonly module: string; readonly timeout: string } {
    return { module: this.#module, timeout: '300s' };
  }

  /** One after the other, so that they are spread over the workers. */
  async drop(scope: Scope, gateway: Gateway, count: number): Promise<void> {
    for (let number = 0; number < count; number += 1) {
      const client = await new OfficialClient(scope, gateway.wsUrl, {
        options: { timeout: 120_000 },
      }).connect();
      this.clients.push(client);
      this.#replies.push(
        client.client.rpc('wait', null).then(
          ({ data }: { readonly data: unknown }) => data,
          (error: unknown) => error,
        ),
      );
    }
  }

  async letGo(): Promise<void> {
    await writeFile(this.#letGoFile, '');
  }

  /** Every reply, or why there is none. */
  replies(): Promise<readonly unknown[]> {
    return Promise.all(this.#replies);
  }
}
