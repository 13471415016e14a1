#!/usr/bin/env bash
# deny.sh: who may depend on what, licences and sources (.cargo/deny.toml), by cargo-deny.
# Exit code 77: not checked, because cargo-deny is not installed. Its own codes are below 16.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v cargo-deny >/dev/null; then
  echo 'deny: NOT CHECKED: no cargo-deny here; get it by: cargo install --locked cargo-deny' >&2
  exit 77
fi
# Not --offline: the whole graph is asked for, and a clean checkout has not fetched what only other
# systems build. No advisories: their database comes from the network as well
# (`cargo deny --config .cargo/deny.toml check advisories` where it may).
exec cargo deny --locked --config .cargo/deny.toml check --hide-inclusion-graph \
  bans licenses sources
