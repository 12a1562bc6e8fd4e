#!/usr/bin/env bash
# Boots a systemd of its own, as process 1 of namespaces of its own, in a root directory that is made of this machine's /usr,
# what systemd/install.sh has put below INSTALLED, and nothing else. Nothing that it does reaches this machine.
# usage: private-systemd.sh PLACE INSTALLED NODE_MODULES
#   PLACE  an empty directory; its last part names the control group
set -euo pipefail

if [ "${STAGE:-}" = '' ]; then
  # A namespace of its own for the mount of the control groups, so that the end of it takes the mount along.
  STAGE=group exec unshare --mount --propagation private "$0" "$@"
fi

place=$1 installed=$2 node_modules=$3
if [ "$STAGE" = group ]; then
  mkdir -p "$place/groups" "$place/root"
  mount -t cgroup2 cgroup2 "$place/groups"
  group=$place/groups/$(basename "$place")
  mkdir "$group"
  clean_up() {
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
  }
  trap clean_up EXIT
  # The child enters the group, so that this shell can remove it.
  STAGE=boot GROUP=$group bash -c 'echo $$ >"$GROUP/cgroup.procs" && exec unshare --cgroup --mount --pid --uts --ipc --net \
    --fork --kill-child --propagation private "$0" "$@"' "$0" "$@" || true
  exit 0
fi

root=$place/root
mount -t tmpfs tmpfs "$root"
mkdir -p "$root"/{usr,etc/systemd/system,var/lib,var/log,var/tmp,run,tmp,proc,sys,dev,opt,root,home,old}
chmod 1777 "$root/tmp" "$root/var/tmp"
for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
mount --bind -o ro /usr "$root/usr"
# Only what the shipped units ask for: the machine's own services stay where they are.
mount -t tmpfs tmpfs "$root/usr/lib/systemd/system"
for unit in sockets network network-online shutdown umount final slices paths timers; do
  cp "/lib/systemd/system/$unit.target" "$root/usr/lib/systemd/system/"
done
[ ! -e /lib/systemd/system/haproxy.service ] || cp /lib/systemd/system/haproxy.service "$root/usr/lib/systemd/system/"
for unit in sysinit basic multi-user; do
  printf '[Unit]\nDescription=%s\n' "$unit" >"$root/usr/lib/systemd/system/$unit.target"
done
for name in passwd group nsswitch.conf ssl ld.so.cache ld.so.conf ld.so.conf.d; do
  [ ! -e "/etc/$name" ] || cp -a "/etc/$name" "$root/etc/"
done
: >"$root/etc/machine-id"
for name in holdfast haproxy; do
  grep -q "^$name:" "$root/etc/group" || echo "$name:x:$((900 + ${#name})):" >>"$root/etc/group"
done
grep -q '^holdfast:' "$root/etc/passwd" ||
  echo "holdfast:x:908:$(grep '^holdfast:' "$root/etc/group" | cut -d: -f3)::/nonexistent:/usr/sbin/nologin" >>"$root/etc/passwd"
cp -a "$installed/etc/systemd/system/." "$root/etc/systemd/system/"
cp -a "$installed/etc/holdfast" "$root/etc/"
cp -a "$installed/opt/." "$root/opt/"
# By root, and read by the service.
chmod 0755 "$root" "$root/etc" "$root/opt"
chmod -R a+rX "$root/opt" "$root/etc/holdfast"
for program in "$root"/opt/holdfast*; do
  [ ! -L "$program" ] || continue
  mkdir "$program/node_modules"
  mount --bind -o ro "$node_modules" "$program/node_modules"
done
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
for name in null zero full random urandom tty; do
  touch "$root/dev/$name"
  mount --bind "/dev/$name" "$root/dev/$name"
done
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
# What the unit of HAProxy binds, and tmpfiles.d makes.
touch "$root/dev/log"
mkdir -p "$root/var/lib/haproxy/dev" "$root/run/haproxy" "$root/etc/haproxy/certs"
cd "$root"
pivot_root . old
umount -l /old
export container=private PATH=/usr/sbin:/usr/bin:/sbin:/bin
unset NOTIFY_SOCKET
exec /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --show-status=false </dev/null
