#!/usr/bin/env bash
# test.sh: everything that is known about this tree, from a clean checkout on.
#
# The last line is "N passed, N failed, N skipped" over all test programs; lints and the dependency
# check count as failures only. The exit code is 0 only when nothing failed. What was skipped is
# said before the last line, one line each.
set -euo pipefail
cd "$(dirname "$0")/../.."
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
  said=$(sort -u "$skips" | grep -c . || true)
  if [ "$said" -gt 0 ]; then
    sort -u "$skips"
    # A test that skips itself has reported success: it is one or the other, not both.
    passed=$((passed - said > 0 ? passed - said : 0))
    skipped=$((skipped + said))
  fi
  if [ ${#broken[@]} -gt 0 ]; then
    printf 'FAILED %s\n' "${broken[@]}"
    [ "$failed" -gt 0 ] || failed=${#broken[@]}
  elif [ "$code" -ne 0 ]; then
    echo 'FAILED before everything was run'
    failed=$((failed + 1))
  fi
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ] || exit 1
}
trap finish EXIT

# Runs one part and goes on whatever happens; its output is seen and kept.
part() { # NAME COMMAND…
  local name=$1 code=0
  shift
  title "$name"
  "$@" 2>&1 | tee "$log.part" || code=${PIPESTATUS[0]}
  cat "$log.part" >>"$log"
  [ "$code" -eq 0 ] || broken+=("$name")
  return 0
}

# Adds up what a runner said of the tests it ran.
tally_nextest() {
  local line run ok skip
  line=$(sed 's/\x1b\[[0-9;]*m//g' "$log.part" | grep -E '^ *Summary \[' | tail -1 || true)
  if [ -z "$line" ]; then count 0 1 0; return; fi # it did not even build
  run=$(grep -oE '[0-9]+(/[0-9]+)? tests? run' <<<"$line" | grep -oE '^[0-9]+')
  ok=$(grep -oE '[0-9]+ passed' <<<"$line" | grep -oE '^[0-9]+' || echo 0)
  skip=$(grep -oE '[0-9]+ skipped' <<<"$line" | grep -oE '^[0-9]+' || echo 0)
  count "$ok" $((run - ok)) "$skip"
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
*) broken+=(dependencies) ;;
esac

# Tests and binaries in one go: built apart, their libraries would differ in features and be built
# twice. The end-to-end tests then run target/debug/callferry.
part build cargo build --workspace --all-targets --locked --quiet
# One broker and one database for the tests that need any; own ones for those that break them.
if cargo nextest --version >/dev/null 2>&1; then
  part tests target/debug/servers cargo nextest run --workspace --locked --no-fail-fast \
    --color never --status-level slow --final-status-level fail
  tally_nextest
else
  part tests target/debug/servers cargo test --workspace --all-targets --locked --no-fail-fast
  tally_cargo
fi
part 'documentation examples' cargo test --workspace --doc --locked --quiet
tally_cargo
