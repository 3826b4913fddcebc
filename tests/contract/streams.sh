#!/bin/bash
# Copies by stdio: what programs see of their streams and files, and what they leave, is as without the library, whatever
# else they do with the streams; and the copies that are plain ones are shared.
. "$(dirname "$0")/../fixture.sh"
need_root

streams=$build/tests/contract/streams
[ -x "$streams" ] || skip_all "tests/contract/streams has not been built"

own_source() {
    cp --reflink=never ../original ../source
    sync ../source
}

# `extents` says how many bytes both have in common.
shares() { # PERCENT
    local common size
    [ "$1" -gt 0 ] || return 0
    read -r common _ < <("$extents" source ours/copy)
    size=$(stat -c %s source)
    echo "$common of $size bytes are shared"
    [ "$common" -ge $((size * $1 / 100)) ] || fail "less than $1 % of the source is shared"
}

as_plain() { # CORNER SHARED
    prepare=own_source
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
}

"$streams" --list >"$scratch/corners"
count=$(wc -l <"$scratch/corners")
plan $((2 * count))
on_each "xfs btrfs" "$count" reflink_filesystem
