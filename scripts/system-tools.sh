#!/usr/bin/env bash
# Makes sure that programs which tests or the front need are there: `scripts/system-tools.sh haproxy redis-server ...`,
# or `program:package` where Debian's package has another name.
# Missing ones are installed from Debian when this user may; else one line says what to type.
set -euo pipefail

missing=()
for tool in "$@"; do
  # Debian keeps daemons in sbin, which is not on everyone's path.
  PATH="$PATH:/usr/sbin:/sbin" command -v "${tool%%:*}" >/dev/null || missing+=("${tool##*:}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
if command -v apt-get >/dev/null && { [ ${#as_root[@]} -eq 0 ] || sudo -n true 2>/dev/null; }; then
  echo "installing from Debian: ${missing[*]}" >&2
  install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get)
  # Package lists may be absent or old: they are fetched only when the first attempt fails.
  "${install[@]}" install -y -qq --no-install-recommends "${missing[@]}" >&2 ||
    { "${install[@]}" update -qq >&2 && "${install[@]}" install -y -qq --no-install-recommends "${missing[@]}" >&2; }
  exit 0
fi
echo "missing: ${missing[*]}. Install with: sudo apt-get install ${missing[*]}" >&2
exit 69
