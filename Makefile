# Everything a person types here. Each target is the first command that works on a bare Debian or
# Ubuntu machine with a Rust toolchain, root or sudo: what is missing is installed.
.DEFAULT_GOAL := help
.PHONY: help build demo lab test lint deny bench sim dashboard fuzz

# Below it are the programs that the targets run, whatever the caller's own settings say.
export CARGO_TARGET_DIR := $(CURDIR)/target

# How many seeds `make sim` tries, and from which on.
SEEDS ?= 10000
FIRST ?= 1

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

build: ## build the service, optimised, into target/release/callferry
	deploy/local/install.sh build
	cargo build --release --locked -p service

demo: ## the main job from end to end, on real servers, with real audio
	deploy/local/install.sh demo
	cargo build --release --locked --bin callferry --bin demo
	target/release/demo

lab: ## servers to try callferry with, in the foreground: both clouds, broker, database
	deploy/local/install.sh lab
	cargo build --locked --bin callferry --bin lab
	target/debug/lab

test: ## everything: lints, unit tests, conformance, simulation, end to end
	deploy/local/test.sh

lint: ## formatting, clippy and documentation, warnings being errors
	deploy/local/install.sh lint
	deploy/local/lint.sh

deny: ## dependencies: who may use what, licences, sources
	deploy/local/deny.sh

# The figures to hold against the budgets; the runs compare copies, repeated work and bytes sent.
bench: ## measure processor time, memory and rate, a fleet that grows and restarts, 10,000 accounts, playback
	deploy/local/install.sh demo
	cargo build --release --locked --bin callferry --bin soak --bin scale --bin giant \
		--bin accounts --bin playback
	cargo build --release --locked -p service --example bare_redirect
	target/release/soak --recordings 2000 --opaque-etags
	target/release/scale
	target/release/giant
	target/release/accounts
	target/release/playback

dashboard: ## a run with an incident, and the dashboard of it drawn to .local/fleet-overview.png
	deploy/local/install.sh dashboard
	cargo build --locked --bin callferry --bin dashboard
	target/debug/dashboard --out .local/fleet-overview.png

sim: ## the simulation over SEEDS seeds from FIRST on
	cargo build --locked -p callferry-tests --bin sim
	target/debug/sim --seeds $(SEEDS) --from $(FIRST)
