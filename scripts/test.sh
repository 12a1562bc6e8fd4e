#!/usr/bin/env bash
# `npm test`: installs what the tests need, compiles, runs them, and fails below the coverage that package.json demands (of
# the processes that tests start, too, unless they are killed; `npx tap report text` shows each file). Arguments (files, tap
# options) go to tap; then any coverage will do.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"

node scripts/ensure.mjs packages
scripts/system-tools.sh haproxy redis-server openssl systemd-analyze:systemd
command -v chromium-headless-shell chromium chromium-browser google-chrome >/dev/null ||
  scripts/system-tools.sh chromium-headless-shell

# Afresh, so that a test whose source is gone does not run on.
rm -rf .build
node_modules/.bin/tsc
# As it is built for users, for tests of how they run it.
node scripts/bundle.mjs .build/dist
mkdir -p .tap
[ $# -eq 0 ] || set -- --allow-incomplete-coverage "$@"
results=.tap/results.tap
if [ -t 1 ] && [ -z "${CI:-}" ]; then
  exec node_modules/.bin/tap run --output-file="$results" "$@"
fi
# For a log: one line for each file, and everything about what failed. All of it is in the results file.
node_modules/.bin/tap run --reporter=tap "$@" </dev/null | tee "$results" |
  grep --text --line-buffered -vE '^ +(ok [0-9]|# Subtest|1\.\.|# time)|^ *$'
