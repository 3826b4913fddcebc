#!/bin/bash
# Many processes copy the same file at once. Each may hold the file's lock in the kernel while it touches a page that is
# owed from that file; whoever fills the page must not wait for the lock, or all of them wait for ever.
. "$(dirname "$0")/../fixture.sh"
need_root

limit=60

at_once() { # PROCESSES MODE
    local round i process processes
    export OFFLOAD_BUFFERS=$2
    for round in 1 2 3 4; do
        processes=()
        for ((i = 0; i < $1; i++)); do
            # A size that is no multiple of the block: the last read is short, into pages that are owed already.
            run_preloaded dd if=source of="copy.$i" bs=64k status=none &
            processes+=($!)
        done
        for process in "${processes[@]}"; do
            wait "$process" || fail "round $round: a copy of $1 at once ended with $?"
        done
        for ((i = 0; i < $1; i++)); do
            assert_same source "copy.$i"
        done
        rm -f copy.*
    done
}

# Each reads the source, by a bare system call, into pages that it is owed from the source: the kernel holds the source's
# lock while the filler works, and others wait to clone it.
reading_at_once() { # PROCESSES
    local round i process processes
    export OFFLOAD_BUFFERS=lazy
    for round in 1 2 3 4; do
        processes=()
        for ((i = 0; i < $1; i++)); do
            mkdir -p "folder.$i"
            (cd "folder.$i" && run_preloaded "$build/tests/lazy/acts" source_read_into_raw) >/dev/null &
            processes+=($!)
        done
        for process in "${processes[@]}"; do
            wait "$process" || fail "round $round: one of $1 at once ended with $?"
        done
    done
}

reflink_filesystem() {
    make_source source
    verdict "16 processes that read into what they are owed, on $fs" reading_at_once 16
    verdict "two processes, lazy, on $fs" at_once 2 lazy
    verdict "eight processes, lazy, on $fs" at_once 8 lazy
    verdict "32 processes, lazy, on $fs" at_once 32 lazy
    verdict "32 processes, auto, on $fs" at_once 32 auto
}

plan 10
on_each "xfs btrfs" 5 reflink_filesystem
