#!/usr/bin/env bash
# Fuzzes each target for SECONDS, starting from its corpus. What is new goes to build-fuzz/new/TARGET; a
# crash is written to build-fuzz/crashes/TARGET: mend it, and put the file into tests/fuzz/regression/TARGET.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60} failed=0
[[ $seconds =~ ^[0-9]+$ ]] || { echo "make fuzz: SECONDS is \`$seconds\`, expected a number" >&2; exit 2; }
make --no-print-directory -j2 BUILD=build-fuzz CC=clang SANITIZE=fuzzer-no-link,address,undefined fuzz-objects
for source in tests/fuzz/fuzz_*.c; do
    target=$(basename "$source" .c) name=${target#fuzz_}
    mkdir -p "build-fuzz/new/$name" "build-fuzz/crashes/$name"
    clang -fsanitize=fuzzer,address,undefined -o "build-fuzz/$target" "build-fuzz/obj/${source%.c}.o" \
        build-fuzz/libharbor-pilot.a -ljansson -lyaml -lcrypto -lpthread
    echo "fuzzing $name for $seconds s"
    "build-fuzz/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build-fuzz/crashes/$name/" "build-fuzz/new/$name" "tests/fuzz/corpus/$name" \
        >"build-fuzz/$name.log" 2>&1 || { failed=1; tail -n 40 "build-fuzz/$name.log"; }
    grep -E 'stat::number_of_executed_units|stat::new_units_added' "build-fuzz/$name.log" || true
done
exit $failed
