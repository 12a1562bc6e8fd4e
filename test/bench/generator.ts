// A process of the load generator: carries out orders that come over IPC, one after the other.
import { messageOf } from '../../src/util/errors.ts';
import { LoadGroup } from './load/group.ts';
import type { Order, Reply, Request, Results } from './load/orders.ts';

const PROGRESS_EVERY_MS = 200;

function say(reply: Reply): void {
  process.send?.(reply);
}

let progressAtMs = 0;
const group = new LoadGroup({
  firstPublisher: Number(process.argv[2] ?? 0),
  onProgress(text) {
    const nowMs = performance.now();
    if (nowMs - progressAtMs < PROGRESS_EVERY_MS) return;
    progressAtMs = nowMs;
    say({ progress: text });
  },
});

async function carryOut(order: Order): Promise<Results[Order['op']]> {
  switch (order.op) {
    case 'open':
      return group.open(order);
    case 'subscribe':
      return group.subscribe(order);
    case 'publish':
      return group.publish(order);
    case 'settle':
      return group.settle(order);
    case 'mark':
      group.mark();
      return null;
    case 'close':
      group.close();
      return null;
  }
}

async function answer({ id, order }: Request): Promise<void> {
  try {
    say({ id, result: await carryOut(order) });
  } catch (error) {
    say({ id, error: messageOf(error) });
  }
}

process.on('message', (request: Request) => {
  void answer(request);
});
process.on('disconnect', () => {
  process.exit(0);
});
