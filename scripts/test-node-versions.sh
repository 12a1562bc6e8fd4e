#!/usr/bin/env bash
# `npm run test:nodes`: runs the tests under every supported Node. The binaries are those of the npm package `node`,
# taken from its package for this platform, which needs no install script. `scripts/test-node-versions.sh 22` runs one.
set -euo pipefail
cd "$(dirname "$0")/.."

for version in "$@"; do
  case $version in
  [0-9]*) ;;
  *) echo 'usage: npm run test:nodes -- [VERSION...], such as 22 or 20.19.0' >&2 && exit 2 ;;
  esac
done
versions=("$@")
[ ${#versions[@]} -gt 0 ] || versions=(20.19.0 22 24)
platform=$(node -p '`${process.platform}-${process.arch}`')
node scripts/ensure.mjs packages

failed=()
for version in "${versions[@]}"; do
  folder=$PWD/.cache/node-$version
  bin=$folder/node_modules/node-$platform/bin
  [ -x "$bin/node" ] ||
    npm install --silent --no-save --no-package-lock --prefix "$folder" "node-$platform@$version" >&2
  echo "== Node $("$bin/node" --version)"
  if PATH="$bin:$PATH" scripts/test.sh --disable-coverage; then
    echo "== Node $version: passed ($(node scripts/count-tests.mjs .tap/results.tap | cut -d' ' -f1) tests)"
  else
    failed+=("$version")
  fi
done
[ ${#failed[@]} -eq 0 ] || { echo "failed under Node ${failed[*]}"; exit 1; }
echo "passed under Node ${versions[*]}"
