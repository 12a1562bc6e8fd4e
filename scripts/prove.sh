#!/usr/bin/env bash
# Proofs that take longer than the tests have time for. Exit code 0 when all is as it should be.
# `npm run proof:reloads [CLIENTS [RELOADS]]`: reloads disturb nobody, with both engines: official clients (JSON and Protobuf)
# through HAProxy with TLS, traffic both ways, 500 of them and 10 reloads unless told otherwise; none notices anything, and no
# message is lost, repeated or swapped.
# `npm run proof:faults [SECONDS [SEED]]`: seven gateways, one after the other, of one to three workers, with both engines;
# each is reloaded, upgraded and rebalanced without a break, for 60 seconds unless told otherwise, while workers are killed,
# processes and Redis stand still and connections to Redis break, as chance has it. The same seed brings the same chance.
set -euo pipefail
cd "$(dirname "$0")/.."
proof=$1
shift
case $proof in
reloads) file=cluster/reload.test.js arguments='[CLIENTS [RELOADS]]' ;;
faults) file=ops/faults.test.js arguments='[SECONDS [SEED]]' ;;
esac
for number in "$@"; do
  case $number in
  '' | 0* | *[!0-9]*) echo "usage: npm run proof:$proof -- $arguments, numbers above 0" >&2 && exit 2 ;;
  esac
done
if [ "$proof" = reloads ]; then
  export TEST_CLIENTS=${1:-500} TEST_RELOADS=${2:-10}
  what="$TEST_CLIENTS clients, $TEST_RELOADS reloads, with the embedded engine and with Redis"
else
  export TEST_SECONDS=${1:-60} TEST_SEED=${2:-$RANDOM}
  what="seven runs of $TEST_SECONDS s and what they need to begin and to end, seed $TEST_SEED"
fi
export PATH="$PATH:/usr/sbin:/sbin" TAP_TIMEOUT=7200

node scripts/ensure.mjs packages
scripts/system-tools.sh haproxy redis-server openssl
node_modules/.bin/tsc
node scripts/bundle.mjs .build/dist
echo "$what" >&2
exec node --enable-source-maps ".build/test/$file"
