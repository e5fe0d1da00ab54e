#!/bin/sh
# Runs every fuzz target for a while: $FUZZ_SECONDS each, 60 by default. Needs a nightly toolchain and cargo-fuzz.
set -eu
cd "$(dirname "$0")/.."

[ -f fuzz/Cargo.toml ] || { echo "fuzz: error: there are no fuzz targets (fuzz/Cargo.toml)" >&2; exit 1; }
cargo +nightly fuzz --version >/dev/null 2>&1 || {
    echo "fuzz: error: install a nightly toolchain (rustup toolchain install nightly) and cargo-fuzz" \
        "(cargo install cargo-fuzz)" >&2
    exit 1
}
targets=$(cargo +nightly fuzz list)
for target in $targets; do
    echo "fuzz: $target"
    cargo +nightly fuzz run "$target" -- -max_total_time="${FUZZ_SECONDS:-60}"
done
