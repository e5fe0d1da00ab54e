#!/bin/sh
# Fills fuzz/corpus with the golden pieces: cargo-fuzz starts from real files.
#   fuzz/seed.sh && cargo +nightly fuzz run page
set -eu
fuzz=$(cd "$(dirname "$0")" && pwd)
golden=$fuzz/../crates/innodb/tests/golden

# cut target size prefix: standard input in pieces of `size` bytes
cut() {
    mkdir -p "$fuzz/corpus/$1"
    split -b "$2" -a 3 - "$fuzz/corpus/$1/$3."
}

for version in "$golden"/*/; do
    name=$(basename "$version")
    work=$(mktemp)
    zstd -dcq "$version/pages.zst" >"$work"
    mkdir -p "$fuzz/corpus/page" "$fuzz/corpus/clone_dir"
    at=0
    number=0
    while IFS='	' read -r _ _ size _; do
        tail -c +$((at + 1)) "$work" | head -c "$size" >"$fuzz/corpus/page/$name.$number"
        at=$((at + size))
        number=$((number + 1))
    done <"$version/pages.tsv"
    rm "$work"
    for log in redo redo-encrypted; do
        zstd -dcq "$version/$log.headers.zst" | cut redo 2048 "$name.$log.headers"
        zstd -dcq "$version/$log.blocks.zst" | cut redo 512 "$name.$log.blocks"
    done
    zstd -dcq "$version/track.zst" | cut page_track 16384 "$name"
    cp "$version"/view_* "$fuzz/corpus/clone_dir"
done
mkdir -p "$fuzz/corpus/meta" "$fuzz/corpus/delta"
printf 'page_size = 16384\nzip_size = 0\nspace_id = 7\nspace_flags = 16417\n' >"$fuzz/corpus/meta/plain"
printf 'start_lsn = 1\npage_track_lsn = 22\nend_lsn = 333\n' >"$fuzz/corpus/clone_dir/checkpoints"
{ printf 'CLON\000\000\000\003\377\377\377\377'; head -c 16372 /dev/zero; } >"$fuzz/corpus/delta/one"
{ printf 'clon'; head -c 16380 /dev/zero; } >"$fuzz/corpus/delta/full"
mkdir -p "$fuzz/corpus/frame_stream" "$fuzz/corpus/frame_unit" "$fuzz/corpus/frame_index"
head -c 3000 "$0" >"$fuzz/corpus/sample"
zstd -1qf "$fuzz/corpus/sample" -o "$fuzz/corpus/frame_unit/zstd"
lz4 -1qf --content-size "$fuzz/corpus/sample" "$fuzz/corpus/frame_unit/lz4"
rm "$fuzz/corpus/sample"
# The index of one frame of 9 bytes.
printf '^*M\030\021\0\0\0\011\0\0\0\005\0\0\0\001\0\0\0\0\261\352\222\217' >"$fuzz/corpus/index"
for frame in zstd lz4; do
    cat "$fuzz/corpus/frame_unit/$frame" "$fuzz/corpus/index" >"$fuzz/corpus/frame_stream/$frame"
done
{ head -c 9 /dev/zero; cat "$fuzz/corpus/index"; } >"$fuzz/corpus/frame_index/one"
rm "$fuzz/corpus/index"
mkdir -p "$fuzz/corpus/statement"
grep -v '^--' "$fuzz/../crates/sql/tests/queries.sql" | split -l 1 -a 3 - "$fuzz/corpus/statement/query."
mkdir -p "$fuzz/corpus/option_file"
printf '[client]\nuser = root # me\npassword = "a\\"b"\n!includedir /etc/my.cnf.d\n' >"$fuzz/corpus/option_file/plain"
