#!/usr/bin/env bash
# deny.sh: who may depend on what, licences and sources (.cargo/deny.toml), by cargo-deny.
# Exit code 77: not checked, because cargo-deny is not installed.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v cargo-deny >/dev/null; then
  echo 'deny: NOT CHECKED: no cargo-deny here; get it by: cargo install --locked cargo-deny' >&2
  exit 77
fi
# No advisories: their database comes from the network. `cargo deny check advisories` where it may.
cargo deny --offline --locked check --hide-inclusion-graph bans licenses sources
