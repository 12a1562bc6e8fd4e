// Loaded before the program (`--import`): a machine whose processors nobody else uses, with as much memory as the test says.
// Hosts of a test share one machine with all other tests; here each of them has its own.
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';

const { MACHINE_MEMORY_BYTES } = process.env;

os.cpus = () => {
  const idle = performance.now();
  return [{ model: 'idle', speed: 1000, times: { user: 0, nice: 0, sys: 0, irq: 0, idle } }];
};
if (MACHINE_MEMORY_BYTES !== undefined) {
  os.totalmem = () => Number(MACHINE_MEMORY_BYTES);
  process.constrainedMemory = () => 0;
}
syncBuiltinESMExports();
