#!/bin/bash
# Random programs, each run plain and preloaded: none of them may be able to tell. Those that call
# the kernel without libc are left out: the library cannot see their calls, and says so.
. "$(dirname "$0")/fixture.sh"
need_root

seeds=1200

differ() { # SEEDS
    bash "$source_tree/tests/transparency/run" --seen --seeds "$1" --dir "$mount" --lib "$library" --jobs 1
}

# A program may meet something that differs from run to run without the library too (where its stack
# lies): only a difference that comes back is the library's.
comes_back() { # SEED
    for _ in 1 2 3; do
        differ "$1-$1" >>"$scratch/again.log" 2>&1 || return 0
    done
    echo "seed $1 differed once, and not in three more runs"
    return 1
}

nobody_can_tell() {
    local seed bad='' status=0
    differ "1-$seeds" >"$scratch/differ.log" 2>&1 || status=$?
    sed -n 's/^ *again: run.*--seeds \([0-9]*\)-.*/\1/p' "$scratch/differ.log" >"$scratch/seeds"
    while read -r seed; do
        if comes_back "$seed"; then
            bad="$bad $seed"
        fi
        status=0
    done <"$scratch/seeds"
    [ -z "$bad" ] || fail "these seeds differ:$bad; $(tail -n 40 "$scratch/differ.log")"
    [ $status -eq 0 ] || fail "the tester ended with $status: $(tail -n 40 "$scratch/differ.log")"
    tail -n 1 "$scratch/differ.log"
    # Programs that never had anything offloaded could tell nothing.
    case $fs in
    xfs | btrfs)
        shared=$(sed -n 's/.* \([0-9]*\) shared extents.*/\1/p' "$scratch/differ.log" | tail -n 1)
        [ "${shared:-0}" -gt 0 ] || fail "not one of the programs had a copy offloaded"
        ;;
    esac
}

each_filesystem() {
    verdict "$seeds random programs on $fs" nobody_can_tell
}

plan 5
on_each "xfs btrfs ext4 tmpfs overlay" 1 each_filesystem
