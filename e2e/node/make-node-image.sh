#!/usr/bin/env bash
# make-node-image.sh ROOT BINARIES VERSION OUT.tar: the root filesystem of a kind node as one tar for `podman import`, from a
# Debian root and a folder of static Kubernetes programs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$1 binaries=$2 version=$3 out=$4
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
names() { "$binaries/kubeadm" config images list --kubernetes-version "$version" 2> /dev/null; }
ref() { names | grep "/$1:"; }

# Images of the static pods, of kube-proxy (with Debian's nft and its libraries) and of pause, in one archive.
{
  echo '{"layers": {'
  for component in kube-apiserver kube-controller-manager kube-scheduler kube-proxy etcd; do
    printf '"%s": {"usr/local/bin/%s": "%s"},\n' "$component" "$component" "$binaries/$component"
  done
  printf '"nft": {'
  chroot "$root" ldd /usr/sbin/nft | grep -o '/[^ ]*' | sort -u | while read -r library; do
    printf '"%s": "%s", ' "$library" "$root$(chroot "$root" readlink -f "$library")"
  done
  printf '"usr/sbin/nft": "%s"},\n' "$root/usr/sbin/nft"
  printf '"busybox": {"bin/busybox": "%s", "bin/sh": "->busybox"}},\n"images": [\n' "$root/usr/bin/busybox"
  path='"Env": ["PATH=/usr/local/bin:/usr/sbin:/bin"]'
  for component in kube-apiserver kube-controller-manager kube-scheduler etcd; do
    printf '{"ref": "%s", "layers": ["%s"], "config": {%s}},\n' "$(ref $component)" "$component" "$path"
  done
  printf '{"ref": "%s", "layers": ["busybox", "nft", "kube-proxy"], "config": {%s}},\n' "$(ref kube-proxy)" "$path"
  # pause: stays, ends on a signal, reaps.
  printf '{"ref": "%s", "layers": ["busybox"], "config": {%s, "Entrypoint": ["/bin/sh", "-c", "trap \\"exit 0\\" TERM INT; while :; do /bin/busybox sleep 86400 & wait $!; done"]}}\n]}\n' "$(ref pause)" "$path"
} > "$work/spec.json"

# The node's own files, laid over the root in a second pass.
node=$work/node
mkdir -p "$node/kind/kubelet.conf.d" "$node/kind/manifests" "$node/usr/local/bin" "$node/etc/containerd"
python3 "$here/ociimg.py" "$work/spec.json" "$node/kind/images.tar"
printf %s "$version" > "$node/kind/version"
install -m755 "$here/node-init" "$node/kind/node-init"
install -m755 "$here/systemctl" "$here/journalctl" "$here/crictl" "$binaries/kubelet" "$binaries/kubeadm" "$node/usr/local/bin/"
install -m644 "$here/kubelet.conf" "$node/kind/kubelet.conf.d/10-node.conf"
sed "s|@PAUSE@|$(ref pause)|" "$here/containerd.toml" > "$node/etc/containerd/config.toml"
chmod 755 "$node"

tar -C "$root" --one-file-system --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' \
  --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' \
  --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' --exclude='./run/*' \
  --exclude=./etc/containerd/config.toml --exclude=./etc/machine-id -cf "$out" .
# Only what the first part lacks: podman refuses a tar that names a path twice.
(cd "$node" && find . -mindepth 1) | while read -r path; do
  [ -d "$node/$path" ] && [ -d "$root/$path" ] || echo "$path"
done | tar -C "$node" --owner=0 --group=0 --no-recursion -rf "$out" -T -
