#!/bin/sh
# Fetches a real MySQL server and its client programs for the tests, the demo and the bench.
#
# Debian sid carries mysql-server-core and mysql-client-core. They are downloaded with a private apt state (no root
# needed, the system's package lists stay untouched) and unpacked with everything they depend on, libc included, into
# one folder: .cache/mysql of the checkout, or $INNOCLONE_CACHE/mysql. Running it again does nothing.
#
# Your own server is used instead when one of these is set:
#   INNOCLONE_MYSQL_ROOT   a folder unpacked like that (it has usr/sbin/mysqld)
#   MYSQLD                 the path of a mysqld; its client programs are taken from the same folder or from PATH
set -eu
. "$(dirname "$0")/attempt.sh"

say()  { printf '%s\n' "fetch-mysql: $*"; }
fail() { printf '%s\n' "fetch-mysql: error: $*" >&2; exit 1; }

if [ -n "${INNOCLONE_MYSQL_ROOT:-}" ]; then
    [ -e "$INNOCLONE_MYSQL_ROOT/usr/sbin/mysqld" ] ||
        fail "INNOCLONE_MYSQL_ROOT=$INNOCLONE_MYSQL_ROOT has no usr/sbin/mysqld"
    say "using INNOCLONE_MYSQL_ROOT=$INNOCLONE_MYSQL_ROOT"
    exit 0
fi
if [ -n "${MYSQLD:-}" ]; then
    [ -x "$MYSQLD" ] || fail "MYSQLD=$MYSQLD is not a program"
    say "using MYSQLD=$MYSQLD"
    exit 0
fi

checkout=$(cd "$(dirname "$0")/.." && pwd)
cache=${INNOCLONE_CACHE:-$checkout/.cache}
mkdir -p "$cache" || fail "cannot create $cache"
cache=$(cd "$cache" && pwd)
target=$cache/mysql
work=$cache/mysql-fetch

already_there() { [ -e "$target/.complete" ]; }
if already_there; then
    say "$(cat "$target/.complete") is in $target"
    exit 0
fi
for tool in apt-get apt-config dpkg flock awk; do
    command -v "$tool" >/dev/null 2>&1 || fail "$tool is missing: this download needs a Debian machine; \
elsewhere set MYSQLD to a mysqld of yours"
done

# One download at a time; whoever waited finds the result of the other.
exec 9>"$cache/mysql-fetch.lock"
flock 9
if already_there; then
    say "$(cat "$target/.complete") is in $target"
    exit 0
fi

# --- the mirror and the keyring of this machine ---------------------------------------------------------------------
# Prints "URI KEYRING" of every enabled Debian archive (not the security one), KEYRING is "-" when none is named.
from_deb822() {
    awk '
        function flush() {
            if (uri != "" && types ~ /(^| )deb( |$)/ && enabled !~ /^(no|false|0)$/) print uri, (key == "" ? "-" : key)
            uri = types = key = enabled = ""
        }
        FNR == 1 { flush() }
        /^#/ { next }
        /^[ \t]*$/ { flush(); next }
        tolower($1) == "types:" { $1 = ""; types = $0 }
        tolower($1) == "uris:" { uri = $2 }
        tolower($1) == "signed-by:" { key = $2 }
        tolower($1) == "enabled:" { enabled = tolower($2) }
        END { flush() }' "$@"
}
from_one_line() {
    awk '
        $1 == "deb" {
            key = "-"; line = $0
            if (match(line, /\[[^]]*\]/)) {
                n = split(substr(line, RSTART + 1, RLENGTH - 2), option, " ")
                for (i = 1; i <= n; i++) if (option[i] ~ /^signed-by=/) key = substr(option[i], 11)
                line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
            }
            split(line, word, " "); print word[2], key
        }' "$@"
}
eval "$(apt-config shell sourcelist Dir::Etc::sourcelist/f sourceparts Dir::Etc::sourceparts/d)"
archives=$(
    [ -f "$sourcelist" ] && from_one_line "$sourcelist"
    for file in "$sourceparts"/*.sources; do [ -f "$file" ] && from_deb822 "$file"; done
    for file in "$sourceparts"/*.list; do [ -f "$file" ] && from_one_line "$file"; done
    true
)
chosen=$(printf '%s\n' "$archives" | awk '$1 ~ /debian/ && $1 !~ /security/ { print; exit }')
uri=${chosen%% *}
keyring=${chosen##* }
[ -n "$uri" ] || fail "no Debian archive is configured for apt on this machine; set MYSQLD to a server of your own"
case $keyring in /*) ;; *) keyring=/usr/share/keyrings/debian-archive-keyring.gpg ;; esac
[ -r "$keyring" ] || fail "the archive keyring $keyring is missing: apt-get install debian-archive-keyring"

# --- download and unpack --------------------------------------------------------------------------------------------
arch=$(dpkg --print-architecture)
rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
: >"$work/status"
echo "deb [signed-by=$keyring] $uri sid main" >"$work/sources.list"

private_apt() {
    apt-get -q \
        -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts=- \
        -o Dir::State::lists="$work/lists" -o Dir::State::status="$work/status" \
        -o Dir::State::extended_states="$work/extended_states" \
        -o Dir::Cache="$work/cache" -o Dir::Cache::archives="$work/cache/archives" \
        -o APT::Architecture="$arch" -o APT::Architectures="$arch" \
        -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 \
        -o Acquire::Languages=none -o Acquire::Retries=3 "$@" >>"$work/log" 2>&1
}
# The lists are fetched anew each time: what they name is gone from a mirror that was updated since.
fetch() {
    private_apt update -o APT::Update::Error-Mode=any &&
        private_apt install --no-install-recommends --download-only -y mysql-server-core mysql-client-core
}

say "downloading mysql-server-core and mysql-client-core (sid, $arch) from $uri"
attempt fetch || {
    tail -n 15 "$work/log" >&2
    fail "apt could not fetch MySQL from $uri (suite sid, $arch); the whole log is $work/log. \
Set MYSQLD or INNOCLONE_MYSQL_ROOT to use a server you have."
}
count=0
for deb in "$work"/cache/archives/*.deb; do
    dpkg -x "$deb" "$work/root" >>"$work/log" 2>&1 || fail "cannot unpack $deb (disk full?)"
    count=$((count + 1))
done
[ -e "$work/root/usr/sbin/mysqld" ] && [ -e "$work/root/usr/bin/mysql" ] ||
    fail "the $count packages hold no usr/sbin/mysqld and usr/bin/mysql; the log is $work/log"

version=$(dpkg-deb -f "$work"/cache/archives/mysql-server-core_*.deb Version)
echo "mysql-server-core $version" >"$work/root/.complete"
# Data directories prepared with an earlier server are of no more use.
rm -rf "$target" "$cache/templates"
mv "$work/root" "$target"
rm -rf "$work"
say "mysql-server-core $version is in $target ($count packages)"
