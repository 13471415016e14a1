#!/usr/bin/env bash
# run.sh TARGET SECONDS [OPTION…]: feeds a target from libFuzzer for so many seconds.
#
# TARGET: event, staging_path, answer or configuration. It goes on from the kept corpus, and from
# what earlier runs here found, which lies in target/fuzz. What breaks a promise ends the run with
# an error and is left in target/fuzz/findings. OPTIONs are libFuzzer's own.
#
# KEEP=1 afterwards reduces everything to few short inputs that together reach every branch that was
# reached, and makes them the kept corpus. Needs a C++ compiler; stable Rust is enough, as no sanitizer is used.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${1:?TARGET} seconds=${2:?SECONDS}
shift 2
host=$(rustc -vV | sed -n 's/^host: //p')
work=$root/target/fuzz
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
 -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
 -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
# With a target of its own the flags are not those of build scripts.
cargo build --manifest-path "$here/Cargo.toml" --locked --release --quiet \
  --target "$host" --target-dir "$work" --bin "$target"
fuzz=$work/$host/release/$target
# The configuration is read from a file in memory.
trap "rm -f /dev/shm/callferry-fuzz-*.toml" EXIT

mkdir -p "$here/corpus/$target" "$work/corpus/$target" "$work/findings/$target"
seeds=("$here/corpus/$target")
[ "$target" != event ] || seeds+=("$root"/schemas/examples/{valid,invalid})
[ "$target" != configuration ] || seeds+=("$root/deploy/config")
limits=(-timeout=5 -rss_limit_mb=2048 -malloc_limit_mb=256 -max_len=4096)
RUST_BACKTRACE=1 "$fuzz" "${limits[@]}" -max_total_time="$seconds" -print_final_stats=1 \
  -dict="$here/$target.dict" -artifact_prefix="$work/findings/$target/" \
  "$@" "$work/corpus/$target" "${seeds[@]}"

if [ "${KEEP:-}" = 1 ]; then
  # As long as an input of the target has to be, so that all of them stay below 300 kB.
  case $target in
    event) short=900 ;;
    answer) short=500 ;;
    configuration) short=200 ;;
    *) short=1100 ;;
  esac
  small=$work/small/$target
  rm -rf "$small"
  mkdir -p "$small"
  "$fuzz" "${limits[@]}" -max_len="$short" -use_counters=0 -set_cover_merge=1 "$small" "${seeds[@]}" "$work/corpus/$target" 2>&1 |
    tail -2
  # What people wrote has a name, and stays; what was found is named by its digest.
  find "$here/corpus/$target" -type f -regextype egrep -regex '.*/[0-9a-f]{40}' -delete
  mv "$small"/* "$here/corpus/$target"
  du -sh --apparent-size "$here/corpus/$target"
fi
