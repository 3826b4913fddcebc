#!/bin/bash
# What a program, the kernel, a thread or another process does to a buffer whose bytes have not been read yet, and to the
# files that they are owed from: everything comes out as with plain calls, and nothing hangs.
. "$(dirname "$0")/../fixture.sh"
need_root

acts=$build/tests/lazy/acts
# Far beyond what any of them takes, also on a busy machine.
limit=30

# The times of access are to be seen.
mount_xfs() {
    mount_image xfs 1G strictatime mkfs.xfs -q -m reflink=1
}

mount_btrfs() {
    mount_image btrfs 1G strictatime mkfs.btrfs -q
}

# The acts that change their source have one of their own, afresh for each run.
own_source() {
    rm -f ../changed
    cp --reflink=never ../source ../changing
    sync ../changing
}
prepare=own_source

act() { # NAME OFFSET
    both "$acts" "$1" "$2"
    [ "$(cat "$scratch/plain.status")" -ne 99 ] || fail "the test itself is wrong: $(cat "$scratch/plain.out")"
}

# The library cannot see these, so the copy may end longer than the program's progress; its process ends, and what it
# prints is right.
unseen_end() { # NAME OFFSET
    both_outputs "$acts" "$1" "$2"
}

both_outputs() {
    local way
    rm -rf plain ours
    for way in plain ours; do
        run_way "$way" "$@"
    done
    cmp "$scratch/plain.status" "$scratch/ours.status" || fail "ended otherwise: $(cat "$scratch/ours.status")"
    cmp "$scratch/plain.out" "$scratch/ours.out" || fail "printed: $(cat "$scratch/ours.out")"
}

# Source and copy are both changed while pages are owed: then nobody has the bytes, and the touch is an error, never other
# bytes. What was seen of them is what plain calls see.
lost() { # NAME OFFSET
    local way
    rm -rf plain ours
    for way in plain ours; do
        run_way "$way" "$acts" "$1" "$2"
    done
    case $(cat "$scratch/ours.status") in
    0) [ "$(grep -c '^as it was' "$scratch/ours.out")" -eq 0 ] || diff "$scratch/plain.out" "$scratch/ours.out" ||
        fail "other bytes were seen" ;;
    135) ! grep '^as it was' "$scratch/ours.out" || fail "it ended after other bytes were seen" ;;
    *) fail "it ended with $(cat "$scratch/ours.status")" ;;
    esac
}

reflink_filesystem() { # OFFSET
    local name
    make_source source
    for name in $("$acts" --list); do
        case $name in
        source_overwritten*_to_the_copy_raw | source_truncated*_to_the_copy_raw) verdict "$name on $fs" lost "$name" "$1" ;;
        *_closed_raw | all_closed_* | *_written_to_the_copy_raw | execs_raw | exits_raw | main_thread_exits_raw | killed)
            verdict "$name on $fs" unseen_end "$name" "$1" ;;
        both_files_overwritten) verdict "$name on $fs" lost "$name" "$1" ;;
        *) verdict "$name on $fs" act "$name" "$1" ;;
        esac
    done
}

count=$("$acts" --list | wc -l)
plan $((2 * count))
export OFFLOAD_BUFFERS=lazy
on_each xfs "$count" reflink_filesystem 16
on_each btrfs "$count" reflink_filesystem 0
