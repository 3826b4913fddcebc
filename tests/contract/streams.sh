#!/bin/bash
# Copies by stdio: what programs see of their streams and files, and what they leave, is as without the library, whatever
# else they do with the streams; and the copies that are plain ones are shared.
. "$(dirname "$0")/../fixture.sh"
need_root
need nm

streams=$build/tests/contract/streams
[ -x "$streams" ] || skip_all "tests/contract/streams has not been built"

own_source() {
    cp --reflink=never ../original ../source
    sync ../source
}

# `extents` says how many bytes both have in common.
shares() { # PERCENT, or -1: nothing
    local common size
    [ "$1" -ge 0 ] || assert_not_shared source ours/copy
    [ "$1" -gt 0 ] && sees_threads || return 0
    read -r common _ < <("$extents" source ours/copy)
    size=$(stat -c %s source)
    echo "$common of $size bytes are shared"
    [ "$common" -ge $((size * $1 / 100)) ] || fail "less than $1 % of the source is shared"
}

# Written from its end on, so that no MiB of it lies behind the one before.
source_in_places() {
    local place
    rm -f ../source
    for place in 4 3 2 1 0; do
        dd if=../original of=../source bs=1M skip=$place seek=$place count=1 conv=notrunc,fsync status=none
    done
}

as_plain() { # CORNER SHARED [SOURCE]
    prepare=${3-own_source}
    both "$streams" "$1"
    [ "$(cat "$scratch/plain.status")" -ne 99 ] || fail "the test itself is wrong: $(cat "$scratch/plain.err")"
    sed 's/^/plain: /' "$scratch/plain.out" | tail -n 20
    shares "$2"
}

reflink_filesystem() {
    make_source original $((64 * 65536 + 4321))
    while read -r corner shared; do
        verdict "${corner//_/ }, on $fs" as_plain "$corner" "$shared"
    done <"$scratch/corners"
    verdict "by small pieces of a source in several places, on $fs" as_plain by_small_pieces 99 source_in_places
}

"$streams" --list >"$scratch/corners"
count=$(($(wc -l <"$scratch/corners") + 1))
plan $((2 * count))
on_each "xfs btrfs" "$count" reflink_filesystem
