#!/usr/bin/env bash
# test.sh: everything that is known about this tree, from a clean checkout on.
#
# The last line is "N passed, N failed, N skipped" over all test programs; lints, the dependency
# check and the build count only where they fail, one each. The exit code is 0 only when nothing
# failed. What was skipped is said before the last line, one line each.
set -euo pipefail
cd "$(dirname "$0")/../.."
# Where the programs that are run below are looked for.
export CARGO_TARGET_DIR=$PWD/target
here=deploy/local
mkdir -p .local
log=.local/test.log
skips=.local/skips.log
: >"$log"
: >"$skips"
passed=0 failed=0 skipped=0
broken=()

title() { printf '\n==== %s\n' "$*"; }
count() { # PASSED FAILED SKIPPED
  passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

finish() {
  local code=$? said
  title result
  said=$(grep -c . "$skips" || true)
  if [ "$said" -gt 0 ]; then
    cat "$skips" # every line: two tests may have to skip for the same reason
    # A test that skips itself has reported success: it is one or the other, not both.
    passed=$((passed - said > 0 ? passed - said : 0))
    skipped=$((skipped + said))
  fi
  if [ ${#broken[@]} -gt 0 ]; then
    printf 'FAILED %s\n' "${broken[@]}"
  fi
  if [ "$code" -ne 0 ]; then
    echo 'FAILED before everything was run'
    failed=$((failed + 1))
  fi
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ] || exit 1
}
trap finish EXIT

# Notes a failure of something that is not a test program; it counts as one.
break_with() { # NAME
  broken+=("$1")
  failed=$((failed + 1))
}

# Runs a command whatever it ends with; its output is seen, and kept in $log.part.
watched() { # NAME COMMAND…
  local code=0
  title "$1"
  shift
  "$@" 2>&1 | tee "$log.part" || code=${PIPESTATUS[0]}
  cat "$log.part" >>"$log"
  return "$code"
}

part() { # NAME COMMAND…
  watched "$@" || break_with "$1"
}

# Test programs; TALLY adds up what they said. One that fails without a failed test (a run cut
# short, a server that does not start) is a failure all the same.
tests() { # TALLY NAME COMMAND…
  local tally=$1 code=0 before=$failed
  shift
  watched "$@" || code=$?
  "$tally"
  if [ "$code" -ne 0 ]; then
    broken+=("$1")
    [ "$failed" -gt "$before" ] || failed=$((failed + 1))
  fi
}

tally_nextest() {
  local line all ok skip
  line=$(sed 's/\x1b\[[0-9;]*m//g' "$log.part" | grep -E '^ *Summary \[' | tail -1 || true)
  if [ -z "$line" ]; then count 0 1 0; return; fi # it did not even build
  # "12/300 tests run": what was not reached has not passed either.
  all=$(grep -oE '([0-9]+/)?[0-9]+ tests? run' <<<"$line" | grep -oE '[0-9]+ ' || echo 0)
  ok=$(grep -oE '[0-9]+ passed' <<<"$line" | grep -oE '^[0-9]+' || echo 0)
  skip=$(grep -oE '[0-9]+ skipped' <<<"$line" | grep -oE '^[0-9]+' || echo 0)
  count "$ok" $((all - ok)) "$skip"
}
tally_cargo() {
  local ok bad ignored found=
  while read -r ok bad ignored; do
    found=yes
    count "$ok" "$bad" "$ignored"
  done < <(sed -nE \
    's/^test result: .* ([0-9]+) passed; ([0-9]+) failed; ([0-9]+) ignored;.*/\1 \2 \3/p' \
    "$log.part")
  [ -n "$found" ] || count 0 1 0
}

title 'what is missing'
"$here/install.sh" test

part lints "$here/lint.sh"
title dependencies
code=0
"$here/deny.sh" || code=$?
case $code in
0) ;;
77) echo 'SKIPPED dependency check: cargo-deny is not installed' >>"$skips"; passed=$((passed + 1)) ;;
*) break_with dependencies ;;
esac

# Tests and binaries in one go: built apart, their libraries would differ in features and be built
# twice. The end-to-end tests then run target/debug/callferry.
part build cargo build --workspace --all-targets --locked --quiet
# One broker and one database for the tests that need any; own ones for those that break them.
# The question fails where nextest is missing, and where it is older than its configuration needs.
if cargo nextest show-config version >/dev/null 2>&1; then
  tests tally_nextest tests target/debug/servers cargo nextest run --workspace --locked \
    --no-fail-fast --color never --status-level slow --final-status-level fail
else
  tests tally_cargo tests target/debug/servers cargo test --workspace --all-targets --locked \
    --no-fail-fast -- --test-threads=4
fi
tests tally_cargo 'documentation examples' cargo test --workspace --doc --locked --quiet
