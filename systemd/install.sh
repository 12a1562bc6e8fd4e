#!/usr/bin/env bash
# Puts Holdfast on a Debian 12 host: program, user, units, drop-ins, kernel settings. Run again, it changes only what differs;
# a configuration that is there stays as it is.
set -euo pipefail
# The service is another user, who has to read the program, however careful root is otherwise.
umask 022

usage() {
  cat <<'TEXT'
usage: systemd/install.sh [--dry-run] [--uninstall] [--colour blue|green] [--root DIRECTORY]
  --dry-run    say what would be done, and do nothing
  --uninstall  stop and remove all of it but /etc/holdfast, the state and the user
  --colour     the program for this colour alone: the other one keeps its own version, to go back to
  --root       work below DIRECTORY, for images: no user, no systemctl, no npm
TEXT
}

wrong() {
  echo "install.sh: $1" >&2
  usage >&2
  exit 2
}

source_dir=$(cd "$(dirname "$0")/.." && pwd)
dry_run='' uninstall='' root='' colour=''
while [ $# -gt 0 ]; do
  case $1 in
  --dry-run) dry_run=1 ;;
  --uninstall) uninstall=1 ;;
  --colour) colour=${2-none} && shift $(($# > 1)) ;;
  --root) root=${2-} && shift $(($# > 1)) && [ -n "$root" ] || wrong '--root needs a directory' ;;
  -h | --help) usage && exit 0 ;;
  *) wrong "unknown argument $1" ;;
  esac
  shift
done
[ -z "$uninstall" ] || [ -z "$colour" ] || wrong '--uninstall takes both colours away: leave --colour out'
case $colour in '' | blue | green) ;; *) wrong '--colour is blue or green' ;; esac
prefix=/opt/holdfast${colour:+-$colour}
[ -n "$root" ] || [ -n "$dry_run" ] || [ "$(id -u)" = 0 ] || { echo 'install.sh: run it as root' >&2 && exit 1; }

do_it() {
  echo "+ $*"
  [ -n "$dry_run" ] || "$@"
}

# On the running system only.
live() {
  [ -n "$root" ] || do_it "$@"
}

put() { # put MODE FILE TARGET
  if ! cmp -s "$2" "$root$3"; then
    do_it install -D -m "$1" "$2" "$root$3"
  fi
}

units=(holdfast.service holdfast@.service holdfast@.socket holdfast-ticket-keys.service holdfast-ticket-keys.timer)
extras=(
  haproxy.service.d/holdfast.conf:/etc/systemd/system/haproxy.service.d/holdfast.conf
  redis-server.service.d/holdfast.conf:/etc/systemd/system/redis-server.service.d/holdfast.conf
  sysctl.d/90-holdfast.conf:/etc/sysctl.d/90-holdfast.conf
)

if [ -n "$uninstall" ]; then
  live systemctl disable --now holdfast-ticket-keys.timer holdfast.service holdfast@{blue,green}.{service,socket} || true
  for unit in "${units[@]}"; do do_it rm -f "$root/etc/systemd/system/$unit"; done
  for extra in "${extras[@]}"; do do_it rm -f "$root${extra#*:}"; done
  do_it rm -rf "$root"/opt/holdfast{,-blue,-green}
  live systemctl daemon-reload
  echo 'kept: /etc/holdfast, /var/lib/holdfast*, the user holdfast'
  exit 0
fi

[ -d "$source_dir/dist" ] || { echo 'install.sh: build first (npm run build)' >&2 && exit 1; }
[ -n "$root" ] || getent passwd holdfast >/dev/null ||
  do_it useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin holdfast

# A colour of its own is a directory; until then it is the program that both share.
[ ! -L "$root$prefix" ] || do_it rm "$root$prefix"
# Packages before the program, and both beside the old ones first: workers that start meanwhile find either all of the one or all
# of the other, and an installation that fails is gone on with by the next run.
if [ -z "$root" ] && ! cmp -s "$source_dir/package-lock.json" "$prefix/node_modules/.installed-lock.json"; then
  do_it rm -rf "$prefix/packages.new"
  for name in package.json package-lock.json; do do_it install -D -m 0644 "$source_dir/$name" "$prefix/packages.new/$name"; done
  do_it npm ci --prefix "$prefix/packages.new" --omit=dev --ignore-scripts --no-progress
  do_it cp "$source_dir/package-lock.json" "$prefix/packages.new/node_modules/.installed-lock.json"
  [ ! -d "$prefix/node_modules" ] || do_it mv "$prefix/node_modules" "$prefix/packages.new/old"
  do_it mv "$prefix/packages.new/node_modules" "$prefix/node_modules"
  do_it rm -rf "$prefix/packages.new"
fi
for name in package.json package-lock.json; do put 0644 "$source_dir/$name" "$prefix/$name"; done
if ! diff -rq "$source_dir/dist" "$root$prefix/dist" >/dev/null 2>&1; then
  do_it mkdir -p "$root$prefix"
  do_it rm -rf "$root$prefix/dist.new" "$root$prefix/dist.old"
  do_it cp -r "$source_dir/dist" "$root$prefix/dist.new"
  # A link to it in the path shall be a program, whatever it was made by.
  do_it chmod 0755 "$root$prefix/dist.new/main.js"
  [ ! -d "$root$prefix/dist" ] || do_it mv "$root$prefix/dist" "$root$prefix/dist.old"
  do_it mv "$root$prefix/dist.new" "$root$prefix/dist"
  do_it rm -rf "$root$prefix/dist.old"
fi
for each in blue green; do
  [ -e "$root/opt/holdfast-$each" ] || [ -L "$root/opt/holdfast-$each" ] || do_it ln -s holdfast "$root/opt/holdfast-$each"
done
put 0644 "$source_dir/docs/operations.md" /opt/holdfast/docs/operations.md

for unit in "${units[@]}"; do put 0644 "$source_dir/systemd/$unit" "/etc/systemd/system/$unit"; done
for extra in "${extras[@]}"; do put 0644 "$source_dir/systemd/${extra%%:*}" "${extra#*:}"; done

if [ ! -e "$root/etc/holdfast/holdfast.yaml" ]; then
  do_it install -D -m 0640 /dev/null "$root/etc/holdfast/holdfast.yaml"
  live chown root:holdfast /etc/holdfast/holdfast.yaml
fi
live systemctl daemon-reload
live sysctl --quiet --system
if [ -z "$root" ] && ! /usr/bin/node --eval "const [a, b] = process.versions.node.split('.'); process.exit(a * 100 + +b >= 2019 ? 0 : 1)" 2>/dev/null; then
  echo 'warning: the units start /usr/bin/node, which has to be Node 20.19 or newer: install it there, or name yours by `systemctl edit`' >&2
fi
cat <<'TEXT'
next: write /etc/holdfast/holdfast.yaml (holdfast defaults), then
  systemctl enable --now holdfast            on TCP
  holdfast deploy                            behind an HAProxy on this host, with /etc/holdfast/{blue,green}.yaml
TEXT
