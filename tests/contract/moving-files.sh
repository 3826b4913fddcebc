#!/bin/bash
# The source or the copy changes in mid-copy, by the program itself or by another process.
. "$(dirname "$0")/../fixture.sh"
need_root
need python3

program=$source_tree/tests/contract/copy-with-event.py

own_source() {
    cp --reflink=auto ../source source
}

as_plain() {
    prepare=own_source
    both python3 "$program" "$@"
    expect_status 0
}

reflink_filesystem() {
    make_source source $((48 * 65536))
    while read -r event who when; do
        verdict "$event by $who $when a read and its write, on $fs" as_plain "$event" "$who" "$when"
    done <"$scratch/events"
}

python3 "$program" --list >"$scratch/events"
count=$(wc -l <"$scratch/events")
plan $((2 * count))
on_each "xfs btrfs" "$count" reflink_filesystem
