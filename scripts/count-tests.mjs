// Counts the tests of a TAP file, for scripts: `node scripts/count-tests.mjs .tap/results.tap` prints "PASSED FAILED".
// A test is a `t.test` block (or a bare assertion) of a test file, the second level of the output. A file that failed
// without a failing test in it (it crashed, hung or planned more) is one failure.
import { readFileSync } from 'node:fs';

const FILE_POINT = /^(not )?ok \d+/;
const TEST_POINT = /^ {4}(not )?ok \d+/;

let passed = 0;
let failed = 0;
let failedInFile = 0;
for (const line of readFileSync(process.argv[2], 'utf8').split('\n')) {
  const test = TEST_POINT.exec(line);
  if (test !== null) {
    if (test[1] === undefined) passed += 1;
    else failedInFile += 1;
    continue;
  }
  const file = FILE_POINT.exec(line);
  if (file === null) continue;
  failed += file[1] === undefined ? failedInFile : Math.max(1, failedInFile);
  failedInFile = 0;
}
process.stdout.write(`${passed} ${failed}\n`);
