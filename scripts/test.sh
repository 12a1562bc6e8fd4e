#!/usr/bin/env bash
# `npm test`: installs what the tests need, compiles, runs them. Arguments (files, tap options) go to tap.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"

node scripts/ensure.mjs packages
# Debian's package names are the programs' names.
scripts/system-tools.sh haproxy redis-server openssl

# Afresh, so that a test whose source is gone does not run on.
rm -rf .build
node_modules/.bin/tsc
exec node_modules/.bin/tap run --output-file=.tap/results.tap "$@"
