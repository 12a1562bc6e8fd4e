// Loaded before the program (`--import`) in place of what tap loads: counts which of our code runs, for tap's report. tap's own
// looks at every module from a thread beside, which more than doubles what a process costs to start.
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';

const OURS = new URL('../../src/', import.meta.url).href;
const REPORTS = new URL('../../../.tap/coverage/', import.meta.url);

const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
process.on('exit', () => {
  // Answered at once, because it is this thread that is asked.
  session.post('Profiler.takePreciseCoverage', (error, { result }) => {
    if (error !== null) throw error;
    mkdirSync(REPORTS, { recursive: true });
    const report = { result: result.filter(({ url }) => url.startsWith(OURS)) };
    writeFileSync(new URL(`${randomUUID()}.json`, REPORTS), JSON.stringify(report));
  });
});
