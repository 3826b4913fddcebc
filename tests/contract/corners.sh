#!/bin/bash
# Unusual things that programs do in the middle of a copy: what they see, and what they leave, is as without the library.
. "$(dirname "$0")/../fixture.sh"
need_root

corners=$build/tests/contract/corners
[ -x "$corners" ] || skip_all "tests/contract/corners has not been built"

# The times of access are to be seen.
mount_xfs() {
    mount_image xfs 1G strictatime mkfs.xfs -q -m reflink=1
}

mount_btrfs() {
    mount_image btrfs 1G strictatime mkfs.btrfs -q
}

# Some change it.
own_source() {
    cp --reflink=never ../original ../source
    sync ../source
}

as_plain() { # CORNER
    prepare=own_source
    both "$corners" "$1"
    [ "$(cat "$scratch/plain.status")" -lt 99 ] || fail "the test itself is wrong: $(cat "$scratch/plain.err")"
    sed 's/^/plain: /' "$scratch/plain.out"
}

# What does not hold yet, and where it is known to fail.
not_yet() { # CORNER
    case $1 in
    limited_in_mid_copy) echo "# TODO a limit that another process sets is met one step late" ;;
    watched_at_each_write) echo "# TODO a write that is left out is no event of modification" ;;
    esac
}

reflink_filesystem() {
    make_source original $((64 * 65536 + 4321))
    while read -r corner; do
        verdict "${corner//_/ }, on $fs $(not_yet "$corner")" as_plain "$corner"
    done <"$scratch/corners"
}

"$corners" --list >"$scratch/corners"
count=$(wc -l <"$scratch/corners")
plan $((2 * count))
on_each "xfs btrfs" "$count" reflink_filesystem
