#!/bin/sh
# Fetches other people's MySQL clients, which the tests let talk to `innoclone serve`: PyMySQL and
# mysql-connector-python (into a virtual environment) and mysql2 for Node.
#
# They go to .cache/clients of the checkout, or $INNOCLONE_CACHE/clients. Running it again does nothing, unless the
# versions below or the interpreters have changed. Python and Node are taken from PATH; where they are missing they
# are installed, on a Debian machine as root; elsewhere the missing package is named.
set -eu
. "$(dirname "$0")/attempt.sh"

# PyMySQL needs cryptography to send a password to an account of caching_sha2_password without TLS.
python_packages="PyMySQL==1.2.4 cryptography==50.0.2 mysql-connector-python==26.10.0"
node_packages="mysql2@3.24.6"

say()  { printf '%s\n' "fetch-clients: $*"; }
fail() { printf '%s\n' "fetch-clients: error: $*" >&2; exit 1; }

checkout=$(cd "$(dirname "$0")/.." && pwd)
cache=${INNOCLONE_CACHE:-$checkout/.cache}
mkdir -p "$cache" || fail "cannot create $cache"
cache=$(cd "$cache" && pwd)
target=$cache/clients
log=$cache/clients-fetch.log

logged() { "$@" >>"$log" 2>&1; }

# --- what runs them -------------------------------------------------------------------------------------------------
has() { command -v "$1" >/dev/null 2>&1 && "$@" >/dev/null 2>&1; }
missing_packages() {
    missing=
    has python3 --version || missing="python3"
    # Debian's python3 comes without the means to make a virtual environment.
    has python3 -c 'import venv, ensurepip' || missing="$missing python3-venv"
    has node --version || missing="$missing nodejs"
    has npm --version || missing="$missing npm"
}
install_missing() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        fail "please install:$(printf ' %s' $missing)"
    fi
    say "installing$(printf ' %s' $missing)"
    attempt logged install_packages $missing || {
        tail -n 15 "$log" >&2
        fail "apt-get could not install$(printf ' %s' $missing); the whole log is $log"
    }
    missing_packages
    [ -z "$missing" ] || fail "apt-get installed what is needed, but PATH still has no working$(printf ' %s' $missing)"
}
wanted() { printf '%s\n' "$python_packages $node_packages; $(python3 --version 2>&1), Node $(node --version 2>&1)"; }
already_there() { [ -e "$target/.complete" ] && [ "$(cat "$target/.complete")" = "$(wanted)" ]; }

if already_there; then
    say "$(wanted) is in $target"
    exit 0
fi

# One download at a time; whoever waited finds the result of the other.
command -v flock >/dev/null 2>&1 || fail "flock is missing (package util-linux)"
exec 9>"$cache/clients-fetch.lock"
flock 9
if already_there; then
    say "$(wanted) is in $target"
    exit 0
fi
: >"$log"
missing_packages
[ -z "$missing" ] || install_missing

# --- download -------------------------------------------------------------------------------------------------------
fetch() {
    attempt logged "$@" || {
        tail -n 15 "$log" >&2
        fail "'$*' fails; the whole log is $log"
    }
}
say "downloading $python_packages $node_packages"
rm -rf "$target"
mkdir -p "$target/node"
fetch python3 -m venv --clear "$target/python"
# Wheels only: nothing is compiled here.
fetch "$target/python/bin/python" -m pip --disable-pip-version-check --no-input install --only-binary=:all: \
    $python_packages
# Without a package.json of its own, npm would look for one in the folders above.
echo '{ "private": true }' >"$target/node/package.json"
fetch npm install --prefix "$target/node" --ignore-scripts --no-audit --no-fund --no-update-notifier \
    --save-exact $node_packages

# What was fetched can be loaded by what will run it.
"$target/python/bin/python" -c 'import pymysql, cryptography, mysql.connector' ||
    fail "python3 cannot load what it fetched; the log is $log"
(cd "$target/node" && node -e 'require("mysql2")') || fail "node cannot load what npm fetched; the log is $log"
wanted >"$target/.complete"
rm -f "$log"
say "$(wanted) is in $target"
