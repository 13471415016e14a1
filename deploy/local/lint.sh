#!/usr/bin/env bash
# lint.sh: formatting, clippy, documentation. Warnings are errors. Runs all three before it fails.
set -euo pipefail
cd "$(dirname "$0")/../.."

broken=()
gate() { # NAME COMMAND…
  local name=$1
  shift
  echo "lint: $name"
  "$@" || broken+=("$name")
}
gate formatting cargo fmt --all --check
gate clippy cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
RUSTDOCFLAGS='-D warnings' gate documentation \
  cargo doc --workspace --no-deps --document-private-items --locked --quiet

if [ ${#broken[@]} -gt 0 ]; then
  echo "lint: FAILED: ${broken[*]}" >&2
  exit 1
fi
