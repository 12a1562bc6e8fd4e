#!/usr/bin/env bash
# `npm run proof:reloads [CLIENTS [RELOADS]]`: the full proof that reloads disturb nobody, with both engines: official clients
# (JSON and Protobuf) through HAProxy with TLS, traffic both ways, 500 of them and 10 reloads unless told otherwise. Exit code 0
# when no client noticed anything and no message was lost, repeated or swapped.
set -euo pipefail
cd "$(dirname "$0")/.."
for number in "$@"; do
  case $number in
  '' | 0* | *[!0-9]*) echo 'usage: npm run proof:reloads -- [CLIENTS [RELOADS]], numbers above 0' >&2 && exit 2 ;;
  esac
done
export PATH="$PATH:/usr/sbin:/sbin"
export TEST_CLIENTS=${1:-500} TEST_RELOADS=${2:-10} TAP_TIMEOUT=7200

node scripts/ensure.mjs packages
scripts/system-tools.sh haproxy redis-server openssl
node_modules/.bin/tsc
echo "$TEST_CLIENTS clients, $TEST_RELOADS reloads, with the embedded engine and with Redis" >&2
exec node --enable-source-maps .build/test/cluster/reload.test.js
