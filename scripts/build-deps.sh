#!/bin/sh
# Makes sure that a C compiler is there: some Rust libraries (zstd, lz4, SQLite, ring) compile C code;
# and zstd and lz4, which tests let read our files.
# On a Debian machine, as root, it is installed; elsewhere the missing package is named.
set -eu
. "$(dirname "$0")/attempt.sh"

missing=
command -v cc >/dev/null 2>&1 || missing="gcc libc6-dev"
command -v make >/dev/null 2>&1 || missing="$missing make"
for tool in zstd lz4; do
    command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "build-deps: error: please install:$(printf ' %s' $missing)" >&2
        exit 1
    fi
    # shellcheck disable=SC2086 # a list of packages
    attempt install_packages $missing
fi
command -v cargo >/dev/null 2>&1 || {
    echo "build-deps: error: cargo is missing: install Rust from https://rustup.rs" >&2
    exit 1
}
