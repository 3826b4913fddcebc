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

as_plain() { # SHARED [SOURCE] -- ARGUMENT...
    local shared=$1
    prepare=own_source
    [ "$2" = -- ] || { prepare=$2 && shift; }
    shift 2
    both "$streams" "$@"
    [ "$(cat "$scratch/plain.status")" -ne 99 ] || fail "the test itself is wrong: $(cat "$scratch/plain.err")"
    sed 's/^/plain: /' "$scratch/plain.out" | tail -n 20
    shares "$shared"
}

# The corners that have a standard stream themselves need no other, and what is closed is not opened once more.
by_standard_output() {
    grep -v -e standard -e 'descriptor_[01]' -e a_table_of_logins -e number_of_a_mapped_one "$scratch/corners"
}

reflink_filesystem() {
    make_source original $((64 * 65536 + 4321))
    while read -r corner shared; do
        verdict "${corner//_/ }, on $fs" as_plain "$shared" -- "$corner"
    done <"$scratch/corners"
    while read -r corner shared; do
        verdict "by standard output: ${corner//_/ }, on $fs" as_plain "$shared" -- --standard "$corner"
    done < <(by_standard_output)
    verdict "by small pieces of a source in several places, on $fs" as_plain 99 source_in_places -- by_small_pieces
    verdict "rewritten by another, in several places, on $fs" as_plain 0 source_in_places -- rewritten_by_another
    verdict "by standard output: the same, on $fs" as_plain 0 source_in_places -- --standard rewritten_by_another
}

"$streams" --list >"$scratch/corners"
count=$(($(wc -l <"$scratch/corners") + $(by_standard_output | wc -l) + 3))
plan $((2 * count))
on_each "xfs btrfs" "$count" reflink_filesystem
