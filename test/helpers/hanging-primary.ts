// A primary that could take over and then hangs.
import { Predecessor } from '../../src/cluster/moves/predecessor.ts';

const predecessor = await Predecessor.meet(process);
await predecessor.ready();
for (;;) Math.random();
