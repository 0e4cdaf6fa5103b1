# Sourced by bazelw and e2e/setup: Debian roots made without changing the machine.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# debootstrap_here FOLDER: puts a debootstrap on PATH; where the machine has none it is unpacked under FOLDER, not installed.
debootstrap_here() {
  command -v debootstrap > /dev/null && return
  if [ ! -x "$1/usr/sbin/debootstrap" ]; then
    command -v apt-get > /dev/null || die "there is neither debootstrap nor apt-get here: install debootstrap, or put a Bazel $(cat "$here/.bazelversion") that can fetch modules on PATH"
    say "fetching debootstrap"
    rm -rf "$1"; mkdir -p "$1/deb"; chmod 755 "$1" "$1/deb"
    (cd "$1/deb" && { apt-get -qq download debootstrap || { apt-get -qq update && apt-get -qq download debootstrap; }; }) > "$1/log" 2>&1 ||
      die "apt-get cannot download debootstrap, see $1/log"
    dpkg-deb -x "$1"/deb/debootstrap_*.deb "$1"
  fi
  export PATH="$1/usr/sbin:$PATH" DEBOOTSTRAP_DIR="$1/usr/share/debootstrap"
}

# with_lock FILE COMMAND…: one at a time, and says what it waits for.
with_lock() {
  local file=$1; shift
  mkdir -p "${file%/*}"
  exec 8> "$file"
  flock -n 8 || { say "waiting for another run that holds $file"; flock 8; }
  "$@"
  exec 8>&-
}

# The machine's own Debian mirror, as its apt configuration names it; empty where it names none.
debian_mirror() {
  apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(SITE)' 'Created-By: Packages' 2> /dev/null |
    awk '$2 == "Debian" && $1 !~ /security/ { print $1; exit }'
}
