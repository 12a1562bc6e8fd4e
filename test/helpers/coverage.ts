// How the programs that tests start are counted in the coverage.
const PRELOAD = new URL('preload-coverage.js', import.meta.url).href;

/** What Node is told in a program of a test, besides what the test itself says: to count its coverage, when there is to be any. */
export function nodeOptions(ofTest = ''): string {
  return process.env['_TAPJS_PROCESSINFO_COVERAGE_'] === '1' ? `${ofTest} --import=${PRELOAD}` : ofTest;
}
