#!/usr/bin/env bash
# Makes the container image: build/harbor-pilot and the shared libraries that it needs, from scratch.
#
#   deploy/image.sh [--binary FILE] [--archive FILE.tar] [IMAGE]
#
# IMAGE (default harbor-pilot:VERSION) is the name to give it. With --archive it is written to that file, for
# `ctr images import`, `skopeo copy docker-archive:FILE` or `podman load`; without, it stays in the store of the tool that
# built it, for `buildah push IMAGE` and the like. Takes buildah, podman or docker, the first of them that is there.
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
version=$(cat "$here/../VERSION")
binary=$here/../build/harbor-pilot archive="" image=harbor-pilot:$version

fail() { echo "image.sh: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --binary | --archive) [ $# -ge 2 ] || fail "$1 needs a file"; declare "${1#--}=$2"; shift 2 ;;
    -*) sed -n '/^#   deploy/s/^# *//p' "$0" >&2; exit 2 ;;
    *) image=$1; shift ;;
  esac
done
[ -x "$binary" ] || fail "$binary is not there: run make first, or name one with --binary"
for tool in buildah podman docker none; do command -v $tool >/dev/null && break; done
[ "$tool" != none ] || fail "buildah, podman or docker is needed; on Debian: apt-get install -y --no-install-recommends buildah"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
install -D -m 0755 "$binary" "$root/harbor-pilot"
# The loader and every library, each at the path where the loader looks for it. ldd names them as
# "libx.so.1 => /lib/.../libx.so.1 (0x...)" and the loader itself as "/lib64/ld-linux-x86-64.so.2 (0x...)".
libraries=$(ldd "$binary") || fail "$binary is not a dynamically linked program of this machine"
! grep -F 'not found' <<<"$libraries" >&2 || fail "a library that $binary needs is not here"
while read -r library; do
  install -D -m 0755 "$library" "$root$library"
done < <(sed -nE 's/^.*[[:space:]](\/[^ ]+) \(0x[0-9a-f]+\)$/\1/p' <<<"$libraries")
# a name for the user id, and somewhere to put nothing
mkdir -p "$root/etc"
echo "harbor-pilot:x:65532:65532::/:/nonexistent" >"$root/etc/passwd"
echo "harbor-pilot:x:65532:" >"$root/etc/group"

labels=(--label "org.opencontainers.image.title=harbor-pilot" --label "org.opencontainers.image.version=$version"
  --label "org.opencontainers.image.licenses=Apache-2.0")
case $tool in
  buildah)
    # chroot: needs no runtime, and works inside containers. vfs: the same for the store. One time stamp: the same
    # files give the same image.
    store=()
    [ -z "$archive" ] || store=(--root "$work/store" --runroot "$work/run" --storage-driver vfs)
    buildah "${store[@]}" build --isolation chroot --timestamp 0 "${labels[@]}" --quiet \
      --file "$here/Containerfile" --tag "$image" "$root" >/dev/null
    [ -z "$archive" ] || buildah "${store[@]}" push --quiet "$image" "docker-archive:$archive:$image"
    ;;
  *)
    $tool build "${labels[@]}" --quiet --file "$here/Containerfile" --tag "$image" "$root" >/dev/null
    [ -z "$archive" ] || $tool save --output "$archive" "$image"
    ;;
esac
echo "$image"
