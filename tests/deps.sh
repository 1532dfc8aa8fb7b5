#!/usr/bin/env bash
# Makes sure that what a Makefile target needs is installed: `deps.sh build`, `deps.sh run` or
# `deps.sh test`. Installs Debian packages as root; else prints the one line that does, and fails.
# `deps.sh line build` only prints the line. None of the packages starts a daemon.
set -euo pipefail

build=(gcc make libc6-dev libmicrohttpd-dev libgnutls28-dev libyaml-dev libssl-dev libcurl4-openssl-dev
    libjansson-dev)
run=("${build[@]}" python3)
test=("${run[@]}" git libcmocka-dev clang libclang-rt-14-dev clang-format
    python3-pytest python3-yaml shellcheck pmccabe scdoc man-db zsh curl iproute2 openssl
    ca-certificates buildah runc containernetworking-plugins valgrind wrk gnutls-bin)

only_line=
if [ "${1:-}" = line ]; then
    only_line=1
    shift
fi
case ${1:-build} in
build) wanted=("${build[@]}") ;;
run) wanted=("${run[@]}") ;;
test) wanted=("${test[@]}") ;;
*) echo "deps.sh: \`$1\` is unknown, expected build, run or test" >&2; exit 2 ;;
esac

missing=()
for package in "${wanted[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || [ -n "$only_line" ] || exit 0

line="apt-get update && apt-get install -y --no-install-recommends ${missing[*]:-${wanted[*]}}"
if [ -n "$only_line" ]; then
    echo "  $line"
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "These packages are missing. As root, type:" >&2
    echo "  $line" >&2
    exit 2
fi
echo "installing ${#missing[@]} Debian packages: ${missing[*]}" >&2
log=$(mktemp)
if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "installing failed; the line was: $line" >&2
    rm -f "$log"
    exit 2
fi
rm -f "$log"
