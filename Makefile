# The menu. `make` alone lists it.

CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help build test lint fmt server clients demo bench fuzz clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the release binary, target/release/innoclone
	$(CARGO) build --release --locked -p innoclone

test: server clients ## everything CI runs: format, lints, all tests (a real MySQL server and clients are fetched)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --workspace --locked --no-fail-fast

lint: ## format check and lints only
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

fmt: ## format the code
	$(CARGO) fmt --all

server: ## fetch a real MySQL server for tests, demo and bench into .cache
	@scripts/fetch-mysql.sh

clients: ## fetch MySQL clients of Python and Node for the tests into .cache
	@scripts/fetch-clients.sh

demo: server build ## backup, increments and restore, shown on a real server
	$(CARGO) run --release --locked -p innoclone-testkit --bin demo

bench: server build ## how fast backup and restore are on this machine
	$(CARGO) run --release --locked -p innoclone-testkit --bin bench

fuzz: ## run every fuzz target for a minute (needs a nightly toolchain and cargo-fuzz)
	scripts/fuzz.sh

clean: ## remove what was built; the fetched server stays (rm -r .cache removes it too)
	$(CARGO) clean
