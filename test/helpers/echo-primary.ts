// A primary in a process of its own, to be killed: prints its port and the process ids of its workers.
import { EchoHost } from './echo-host.ts';

const host = await EchoHost.start({ teardown: () => undefined });
await host.ready(2);
const pids = host.supervisor.processes().map(({ pid }) => pid);
process.stdout.write(`${host.port} ${pids.join(' ')}\n`);
