#!/bin/bash
# A program that has copied half of a file may do anything next: stop, seek, truncate, append, change
# the bytes, read them back, fork, end. What it sees, and what is left, is as without the library.
. "$(dirname "$0")/../fixture.sh"
need_root
need python3

program=$source_tree/tests/contract/copy-then.py

as_plain() {
    both python3 "$program" "$1"
    case $1 in
    exits-at-once) expect_status 7 ;;
    aborts) expect_status 134 ;;
    *) expect_status 0 ;;
    esac
}

# A signal that ends the process leaves the library no time: then the file may be longer than what
# was written, but each of its bytes is the source's.
killed() {
    rm -rf ours
    mkdir ours
    (
        cd ours
        run_preloaded python3 -c '
import os, signal
source = os.open("../source", os.O_RDONLY)
copy = os.open("copy", os.O_WRONLY | os.O_CREAT)
for turn in range(30):
    os.write(copy, os.read(source, 65536))
os.kill(os.getpid(), signal.SIGKILL)
'
    ) 2>/dev/null || true
    size=$(stat -c %s ours/copy)
    [ "$size" -ge $((30 * 65536)) ] || fail "$size bytes are left of $((30 * 65536)) that were written"
    cmp -n "$size" source ours/copy || fail "the file holds bytes that are not the source's"
}

reflink_filesystem() {
    make_source source $((64 * 65536 + 4321))
    while read -r action; do
        verdict "copies half and $action, on $fs" as_plain "$action"
    done <"$scratch/actions"
    verdict "copies half and is killed, on $fs" killed
}

python3 "$program" --list >"$scratch/actions"
count=$(($(wc -l <"$scratch/actions") + 1))
plan $((2 * count))
on_each "xfs btrfs" "$count" reflink_filesystem
