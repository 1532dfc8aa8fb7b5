#!/usr/bin/env bash
# Makes the container image, from scratch: build/harbor-pilot, the shared libraries that it needs, the public authorities
# (for an `api` without caFile), and the names and versions of the Debian packages that these come from, for scanners.
#
#   deploy/image.sh [--binary FILE] [--ca-bundle FILE] [--archive FILE.tar] [IMAGE]
#
# IMAGE (default harbor-pilot:VERSION) is the name to give it. With --archive it is written to that file, for
# `ctr images import`, `skopeo copy docker-archive:FILE` or `podman load`; without, it stays in the store of the tool that
# built it, for `buildah push IMAGE` and the like. --ca-bundle takes other authorities than this machine's
# /etc/ssl/certs/ca-certificates.crt, as where a company has its own. Takes buildah, podman or docker, the first of them that is there.
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
version=$(cat "$here/../VERSION")
binary=$here/../build/harbor-pilot archive="" image=harbor-pilot:$version
# where libcurl and OpenSSL look, on Debian; here and in the image
bundle_path=/etc/ssl/certs/ca-certificates.crt
ca_bundle=$bundle_path
usage() { sed -n '/^#   deploy/s/^# *//p' "$0"; }

fail() { echo "image.sh: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --binary) [ $# -ge 2 ] || fail "$1 needs a file"; binary=$2; shift 2 ;;
    --archive) [ $# -ge 2 ] || fail "$1 needs a file"; archive=$2; shift 2 ;;
    --ca-bundle) [ $# -ge 2 ] || fail "$1 needs a file"; ca_bundle=$2; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) image=$1; shift ;;
  esac
done
[ -x "$binary" ] || fail "$binary is not there: run make first, or name one with --binary"
[ -s "$ca_bundle" ] || fail "$ca_bundle is not there: install ca-certificates, or name a file of authorities with --ca-bundle"
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
install -D -m 0644 "$ca_bundle" "$root$bundle_path"

# package_of FILE: the Debian package that has it, by the name before or after /lib became /usr/lib
package_of() {
  local path
  for path in "$1" "/usr$1" "${1#/usr}"; do
    if dpkg-query --search "$path" 2>/dev/null; then return; fi
  done | sed -n '1s/: .*//p'
}

# For scanners, as distroless images have it: one file for each package, and what distribution they are of.
name_packages() {
  local library package packages=() fields
  # shellcheck disable=SC2016  # the dollars are dpkg-query's own
  fields='Package: ${Package}\nStatus: ${Status}\nArchitecture: ${Architecture}\nVersion: ${Version}\n'
  # shellcheck disable=SC2016
  fields+='Source: ${source:Package} (${source:Version})\nMaintainer: ${Maintainer}\nDescription: ${binary:Summary}\n'
  while read -r library; do
    package=$(package_of "$library")
    [ -n "$package" ] || fail "no package has $library: a scanner would not see it"
    packages+=("$package")
  done < <(cd "$root" && find lib* usr -type f -printf '/%p\n' 2>/dev/null)
  [ "$ca_bundle" != "$bundle_path" ] || packages+=(ca-certificates)
  mkdir -p "$root/var/lib/dpkg/status.d"
  for package in $(printf '%s\n' "${packages[@]}" | sort -u); do
    dpkg-query --show --showformat "$fields" "$package" >"$root/var/lib/dpkg/status.d/${package%%:*}"
  done
  install -D -m 0644 /etc/os-release "$root/etc/os-release"
}
if command -v dpkg-query >/dev/null; then
  name_packages
else
  echo "image.sh: this is no Debian: the image does not name its libraries' versions, and scanners will not see them" >&2
fi
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
