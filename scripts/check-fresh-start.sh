#!/usr/bin/env bash
# Proves the first minute of a newcomer: clones the last commit, types `npm start`, waits until the gateway is ready, ends it
# with Ctrl-C's signal and looks for what it left behind.
set -euo pipefail
cd "$(dirname "$0")/.."
DEADLINE_S=60

folder=$(mktemp -d)
log=$folder/log
pid=
finish() {
  [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
fail() {
  echo "npm start on a fresh clone: $1" >&2
  cat "$log" >&2
  exit 1
}

git clone --quiet --local . "$folder/clone"
started=$SECONDS
# Background jobs of a script ignore SIGINT; npm gets it back from env.
(cd "$folder/clone" && HOLDFAST_HTTP_SERVER_PORT=0 exec env --default-signal=INT npm start --silent >"$log" 2>&1 </dev/null) &
pid=$!

url=
until [ -n "$url" ] && node -e 'fetch(process.argv[1]).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))' "$url"; do
  kill -0 "$pid" 2>/dev/null || fail 'it ended by itself'
  [ $((SECONDS - started)) -lt $DEADLINE_S ] || fail "not ready after $DEADLINE_S s"
  sleep 0.5
  port=$(sed -nE 's/.*"url":"ws:[^"]*:([0-9]+)\/.*/\1/p' "$log" | head -n 1)
  url=${port:+http://127.0.0.1:$port/readyz}
done
echo "ready after $((SECONDS - started)) s"

kill -INT "$pid"
status=0
wait "$pid" || status=$?
pid=
[ "$status" -eq 0 ] || fail "exit code $status after SIGINT"
! pgrep -f "$folder/clone/dist/main.js" >/dev/null || fail 'a process is left'
