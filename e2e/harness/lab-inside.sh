#!/bin/bash
# Process 1 of a lab's namespaces: gives it a root with podman, mounts of its own, and reaps.
# lab-inside.sh ROOT READY BIND…: each BIND is a folder that is seen inside at the same path.
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
root=$1 ready=$2; shift 2
hierarchies() { awk '$3 == "cgroup" { print $2 }' /proc/mounts | sort -u; }
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
for hierarchy in $(hierarchies); do
  name=${hierarchy##*/}; mkdir -p "$root/sys/fs/cgroup/$name"
  options=$name; [ "$name" = systemd ] && options=none,name=systemd
  mount -t cgroup -o "$options" cgroup "$root/sys/fs/cgroup/$name"
done
mount -t tmpfs tmpfs "$root/run"; mount -t tmpfs tmpfs "$root/tmp"
for bind in "$@"; do mkdir -p "$root$bind"; mount --bind "$bind" "$root$bind"; done
# podman's images and containers go with the lab.
mkdir -p "$1/containers" "$root/var/lib/containers"; mount --bind "$1/containers" "$root/var/lib/containers"
mkdir -p "$root/run/lock" "$root/lib/modules" "$root/oldroot"
hostname lab; ip link set lo up
# Of the root itself: not every util-linux has it.
cd "$root"; usr/sbin/pivot_root . oldroot
umount -l /oldroot
mount --make-rshared /
: > "$ready"
exec chroot . /bin/bash -c 'cd /; while :; do sleep 3600 & wait $!; done'
