#!/bin/bash
# Copies through a pipe by two calls of splice(2): what the program sees of pipe and files is as without the library,
# whatever comes between the two, and what can be shared is.
. "$(dirname "$0")/../fixture.sh"
need_root
need python3 strace
python3 -c "from os import splice" 2>/dev/null || skip_all "this Python has no os.splice"

program=$source_tree/tests/contract/splice-then.py
rehearsal=$build/.libs/rehearsal.so
[ -e "$rehearsal" ] || skip_all "$rehearsal has not been built: run make check"

make_files() {
    make_source source $((64 * 65536 + 4321))
}

# What an action is given, in each way's directory.
prepare=given
given() {
    cp --reflink=never ../source source
}

as_plain() { # ACTION...
    both python3 "$program" "$@"
    expect_status 0
    ! grep -q Traceback "$scratch/plain.err" || fail "$(cat "$scratch/plain.err")"
}

all_as_plain() {
    # shellcheck disable=SC2046 # the actions' names
    as_plain $(cat "$scratch/actions")
}

# All but some pieces: the last one, and what an action spoils.
shares() { # ACTION
    local common
    assert_not_shared plain/source "plain/$1/copy"
    read -r common _ < <("$extents" ours/source "ours/$1/copy")
    [ "$common" -ge $((48 * 65536)) ] || fail "source and copy share $common bytes"
}

rehearse() {
    local library=$rehearsal
    all_as_plain
}

rehearse_failing() {
    export OFFLOAD_REHEARSAL=fails
    rehearse
}

# The pipe is emptied only where its bytes are served: what others could see of it is left to the program.
are_left_alone() {
    rm -rf ours
    mkdir ours
    cd ours
    cp --reflink=never ../source source
    trace_preloaded python3 "$program" "${left_alone[@]}" >/dev/null
    ! grep -B 20 'vmsplice(.*= [1-9]' "$trace" || fail "a pipe was emptied"
    ! grep 'FICLONERANGE.*= 0' "$trace" || fail "bytes were cloned"
}

whole_blocks() {
    rm -rf shares-pairs-without-a-look
    head -c 4194304 source >blocks
    mv blocks source
    run_preloaded python3 "$program" shares-pairs-without-a-look >/dev/null
    assert_shared source shares-pairs-without-a-look/copy
}

reflink_filesystem() {
    make_files
    verdict "$actions actions, on $fs" all_as_plain
    while read -r action; do
        verdict "$action, on $fs" shares "$action"
    done < <(grep '^shares' "$scratch/actions")
    verdict "what others could see is left alone, on $fs" are_left_alone
    verdict "whole blocks, all of them, on $fs" whole_blocks
}

no_reflink_filesystem() {
    make_files
    verdict "$actions actions by an engine in place, on $fs" rehearse
    verdict "$actions actions by an engine in place that fails, on $fs" rehearse_failing
}

limit=900
left_alone=(twice-into-the-pipe to-a-pipe-with-other-bytes-before to-a-pipe-with-other-bytes-behind
    destination-for-appending destination-for-reading destination-without-splice through-direct-destination
    pipe-in-packets pipe-by-its-end-for-writing pipe-of-other-numbers pipe-that-a-child-has pipe-that-a-thread-fills source-closed-between
    source-replaced-by-its-number-between pipe-closed-between with-little-address-space)
python3 "$program" --list >"$scratch/actions"
actions=$(wc -l <"$scratch/actions")
each=$(($(grep -c '^shares' "$scratch/actions") + 3))
plan $((2 * each + 2))
on_each "xfs btrfs" $each reflink_filesystem
on_each ext4 2 no_reflink_filesystem
