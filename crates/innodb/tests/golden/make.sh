#!/bin/bash
# Makes the golden pieces: cut from the files of a real server, never written by the code they test.
#
#   crates/innodb/tests/golden/make.sh
#
# The server is the one scripts/fetch-mysql.sh unpacks, or that of INNOCLONE_MYSQL_ROOT. The pieces go to a folder
# named for its version, the statements that made them are in *.sql beside this script. With KEEP=directory the
# data directories are left there, for a run of the whole_files test.
#
# pages.zst    pages of all kinds, one behind the other
# pages.tsv    for each of them: file, page size of the server, page size in the file, flags and id of the tablespace
#              (as information_schema says), page number (from the place in the file), page type
# redo*.zst    header areas of the redo files, and the blocks around the end of the log; encrypted ones too
# track.zst    a file of the page-tracking archive
# view_*       the texts of a clone
# facts.tsv    what the server said about its logs when these were cut
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../../../.." && pwd)
root=${INNOCLONE_MYSQL_ROOT:-${INNOCLONE_CACHE:-$checkout/.cache}/mysql}
libraries=$root/usr/lib/x86_64-linux-gnu
work=${KEEP:-$(mktemp -d /tmp/ic-golden.XXXXXX)}
mkdir -p "$work"
pid=

end() {
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
    [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap end EXIT

# With prefix=exec the program takes the place of a subshell, so that $! is the program's own number.
prefix=
run() { $prefix "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries:$root/usr/lib/mysql/private" "$@"; }

sql() {
    run "$root/usr/bin/mysql" --no-defaults --character-sets-dir="$root/usr/share/mysql/charsets" \
        -uroot -S "$work/s" -NB "$@"
}

# Manifests beside links to the programs refer to the data directory, so that the installation stays as it is.
links() {
    mkdir -p "$work/sbin" "$work/plugin"
    ln -sf "$root/usr/sbin/mysqld" "$work/sbin/mysqld"
    ln -sf "$root"/usr/lib/mysql/plugin/*.so "$work/plugin/"
    echo '{ "read_local_manifest": true }' >"$work/sbin/mysqld.my"
    echo '{ "read_local_config": true }' >"$work/plugin/component_keyring_file.cnf"
}

mysqld() {
    run "$work/sbin/mysqld" --no-defaults --basedir="$root/usr" --lc-messages-dir="$root/usr/share/mysql" \
        --character-sets-dir="$root/usr/share/mysql/charsets" --plugin-dir="$work/plugin" --datadir="$data" \
        --user="$(id -un)" --secure-file-priv= --tmpdir="$work" --log-error="$work/log.err" "$@"
}

# start datadir options...
start() {
    data=$1
    shift
    prefix=exec mysqld --socket="$work/s" --skip-networking --mysqlx=OFF --pid-file="$work/pid" "$@" &
    pid=$!
    for _ in $(seq 200); do
        sql -e 'SELECT 1' >/dev/null 2>&1 && return
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    tail "$work/log.err" >&2
    exit 1
}

stop() {
    sql -e 'SET GLOBAL innodb_fast_shutdown = 0; SHUTDOWN'
    wait "$pid" || true
    pid=
}

# initialize datadir options...
initialize() {
    data=$1
    shift
    mysqld --initialize-insecure "$@"
    echo '{ "components": "file://component_keyring_file" }' >"$data/mysqld.my"
    echo "{ \"path\": \"$work/keys\", \"read_only\": false }" >"$data/component_keyring_file.cnf"
}

u16() { od -An -v -tu2 --endian=big -j"$2" -N2 "$1" | tr -d ' '; }
u64() { od -An -v -tu8 --endian=big -j"$2" -N8 "$1" | tr -d ' '; }

# piece name: standard input becomes a piece
piece() { zstd -q -19 -f -o "$out/$1.zst"; }

# pages name file physical-size page-size flags space-id: the first page of every type in the file
pages() {
    local name=$1 file=$2 physical=$3 seen=' ' number type
    for number in $(seq 0 $(($(stat -c %s "$file") / physical - 1))); do
        type=$(u16 "$file" $((number * physical + 24)))
        # Cipher text does not compress: a few of these are enough.
        case $type:$name in 0:* | 15:8k-* | 15:32k-* | 15:64k-* | 15:16k-sealed_geo) continue ;; esac
        case $seen in *" $type "*) continue ;; esac
        seen="$seen$type "
        dd if="$file" bs="$physical" skip="$number" count=1 status=none >>"$work/pages"
        printf '%s\t' "$name" "$4" "$physical" "$5" "$6" "$number" >>"$out/pages.tsv"
        echo "$type" >>"$out/pages.tsv"
    done
}

# tables datadir page-size prefix: what the server knows of its tablespaces, then their pages
tables() {
    local space flags physical file name
    while read -r space flags physical file; do
        name=$(basename "$file" .ibd)
        pages "$3$name" "$1/$file" "$physical" "$2" "$flags" "$space"
    done <"$work/spaces"
}

# list pattern: the tablespaces whose file name matches go to the list for `tables`
list() {
    sql -e "SELECT s.SPACE, s.FLAG, IF(s.ZIP_PAGE_SIZE > 0, s.ZIP_PAGE_SIZE, s.PAGE_SIZE),
                TRIM(LEADING './' FROM f.FILE_NAME)
            FROM information_schema.INNODB_TABLESPACES s JOIN information_schema.FILES f ON f.FILE_ID = s.SPACE
            WHERE f.FILE_NAME REGEXP '$1' ORDER BY s.SPACE" >"$work/spaces"
    [ -s "$work/spaces" ]
}

log_status() {
    sql -e "SELECT STORAGE_ENGINES->>'$.InnoDB.LSN', STORAGE_ENGINES->>'$.InnoDB.LSN_checkpoint'
            FROM performance_schema.log_status"
}

# redo name: header areas of the files in use and the blocks around the end of the log, while nothing is written
redo() {
    local before after lsn file begin first size
    for _ in $(seq 50); do
        before=$(log_status)
        sql -e 'FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS'
        rm -rf "$work/redo"
        cp -r "$data/#innodb_redo" "$work/redo"
        after=$(log_status)
        [ "$before" != "$after" ] || break
        sleep 0.2
    done
    [ "$before" = "$after" ]
    lsn=${before%%$'\t'*}
    rm -f "$work/headers"
    for file in "$work"/redo/*; do
        case $file in *_tmp) continue ;; esac
        begin=$(u64 "$file" 8)
        size=$(stat -c %s "$file")
        head -c 2048 "$file" >>"$work/headers"
        printf '%s\t%s\n' "$1.size.$begin" "$size" >>"$out/facts.tsv"
        if [ "$begin" -le "$lsn" ] && [ "$lsn" -lt $((begin + size - 2048)) ]; then
            first=$((lsn / 512 - 6))
            [ $((first * 512)) -ge "$begin" ] || first=$((begin / 512))
            dd if="$file" bs=512 skip=$((4 + first - begin / 512)) count=8 status=none | piece "$1.blocks"
            printf '%s\t%s\n' "$1.first" $((first * 512)) "$1.lsn" "$lsn" \
                "$1.checkpoint" "${before##*$'\t'}" >>"$out/facts.tsv"
        fi
    done
    piece "$1.headers" <"$work/headers"
}

links
version=$(data=$work/none mysqld --version 2>/dev/null | sed 's/.*Ver \([0-9.]*\).*/\1/')
out=$here/$version
mkdir -p "$out"
rm -rf "$out"/* "$work/pages"
printf 'version\t%s\n' "$version" >"$out/facts.tsv"

# --- 16K pages: every kind of page ---
initialize "$work/16k"
start "$work/16k" --innodb-buffer-pool-size=8M --innodb-redo-log-capacity=8M
sql <"$here/tables.sql"
list '^./(g|general|mysql).*ibd$|undo_001'
redo redo
# Page tracking: two start points with more than a block of flushes between them.
sql -e "INSTALL COMPONENT 'file://component_mysqlbackup'; SELECT 'track.first', mysqlbackup_page_track_set(1)" \
    >>"$out/facts.tsv"
sql <"$here/flushes.sql"
sql -e "SELECT 'track.second', mysqlbackup_page_track_set(1)" >>"$out/facts.tsv"
sql <"$here/flushes.sql"
sql -e 'SET GLOBAL innodb_redo_log_encrypt = ON'
sql <"$here/flushes.sql"
redo redo-encrypted
# The third call writes the block that is being filled.
sql -e "SELECT 'track.third', mysqlbackup_page_track_set(1)" >>"$out/facts.tsv"
sql -e "SELECT 'track.count', mysqlbackup_page_track_get_changed_page_count(
            mysqlbackup_page_track_get_start_lsn(), 0)" >>"$out/facts.tsv"
archive=$(echo "$data"/#ib_archive/page_group_*/ib_page_0)
piece track <"$archive"
sql -e "INSTALL PLUGIN clone SONAME 'mysql_clone.so'; CLONE LOCAL DATA DIRECTORY '$work/clone'"
sql -e "UNINSTALL PLUGIN clone"
for view in status progress; do
    cat "$work/clone/#clone/#view_$view" >"$out/view_$view"
done
stop
tables "$data" 16384 16k-
pages 16k-ibdata1 "$data/ibdata1" 16384 16384 18432 0
printf 'ibdata1.flush_lsn\t%s\n' "$(u64 "$data/ibdata1" 26)" >>"$out/facts.tsv"

# --- the other checksum algorithms ---
for algorithm in innodb none; do
    start "$work/16k" --innodb-checksum-algorithm=$algorithm
    sed "s/ALGORITHM/$algorithm/g" "$here/checksums.sql" | sql
    list "^./sum/$algorithm"
    stop
    tables "$data" 16384 16k-sum-
done

# --- the other page sizes ---
for kib in 4 8 32 64; do
    initialize "$work/${kib}k" --innodb-page-size=${kib}K
    start "$work/${kib}k" --innodb-page-size=${kib}K
    sed "s/KIB/$kib/g" "$here/page_sizes.sql" | sql -f 2>"$work/refused"
    list '^./(g/)'
    stop
    tables "$data" $((kib * 1024)) ${kib}k-
done
piece pages <"$work/pages"
rm -rf "$work/redo" "$work/clone"
du -sh "$out"
wc -l "$out/pages.tsv"
