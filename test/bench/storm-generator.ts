// A process of clients that are cut off together and come back; orders over IPC, one after the other. Arguments: dialect.
import { createSecureContext } from 'node:tls';
import { messageOf } from '../../src/util/errors.ts';
import { dialects, type DialectName } from './load/dialects.ts';
import { Histogram } from './load/histogram.ts';
import { StormClient, type StormShared } from './load/storm-client.ts';
import type { StormOrder, StormReply } from './load/storm-process.ts';

const AT_ONCE = 48;
let clients: StormClient[] = [];
const failures = new Map<string, number>();

function tell(reply: StormReply): void {
  process.send?.(reply);
}

async function open(order: StormOrder & { op: 'open' }): Promise<void> {
  const shared: StormShared = {
    port: order.port,
    secureContext: createSecureContext({ ca: order.certificate }),
    localAddress: order.localAddress,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the benchmark names one of its own
    dialect: dialects[process.argv[2] as DialectName],
    session: undefined,
    failures,
  };
  clients = Array.from({ length: order.count }, (_, i) => new StormClient(shared, `s${i % order.channels}`));
  let next = 0;
  let done = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let client = clients[next++]; client !== undefined; client = clients[next++]) {
        await client.open();
        done += 1;
        if (done % 200 === 0) tell({ type: 'progress', done });
      }
    }),
  );
}

async function cut(): Promise<Histogram> {
  failures.clear();
  const back = new Histogram();
  const startMs = performance.now();
  let done = 0;
  await Promise.all(
    clients.map(async (client) => {
      await client.cut();
      back.record((performance.now() - startMs) * 1000);
      done += 1;
      if (done % 200 === 0) tell({ type: 'progress', done });
    }),
  );
  return back;
}

async function carryOut(order: StormOrder): Promise<void> {
  if (order.op === 'open') {
    await open(order);
    tell({ type: 'done', back: new Histogram().state(), failures: [...failures] });
  } else {
    const back = await cut();
    tell({ type: 'done', back: back.state(), failures: [...failures] });
  }
}

process.on('message', (order: StormOrder) => {
  carryOut(order).catch((error: unknown) => {
    tell({ type: 'failed', reason: messageOf(error) });
  });
});
process.on('disconnect', () => process.exit(0));
