#!/bin/bash
# Midnight Commander: F5 in a terminal of its own, with the keys that a user would press.
. "$(dirname "$0")/../fixture.sh"
need_root
need mc python3

press=$source_tree/tests/programs/mc-press-f5.py

copied() {
    rm -rf home from to
    mkdir home from to
    make_source from/file
    HOME=$PWD/home MC_TMPDIR=$scratch TERM=xterm "$1" python3 "$press" mc "$PWD/from" "$PWD/to" >"$scratch/screen" ||
        fail "mc did not finish: $(tail -c 400 "$scratch/screen" | tr -cd '[:print:]')"
    assert_same from/file to/file
}

becomes_clone() {
    copied run_plain
    stat -c '%a %s' to/file >"$scratch/plain.stat"
    copied run_preloaded
    stat -c '%a %s' to/file >"$scratch/ours.stat"
    cmp "$scratch/plain.stat" "$scratch/ours.stat" || fail "the copy has another mode or size"
    if [ "$fs" != ext4 ]; then
        assert_shared from/file to/file
    fi
}

each_filesystem() {
    verdict "mc F5 on $fs is as plain" becomes_clone
}

plan 3
on_each "xfs btrfs ext4" 1 each_filesystem
