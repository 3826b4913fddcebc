#!/bin/bash
# What is offloaded call by call, at its own place: what the program sees is as without the library, space that was
# promised stays, and what can be shared is.
. "$(dirname "$0")/../fixture.sh"
need_root
need python3 strace

program=$source_tree/tests/contract/exact-then.py
rehearsal=$build/.libs/rehearsal.so
[ -e "$rehearsal" ] || skip_all "$rehearsal has not been built: run make check"

as_plain() {
    both python3 "$program" "$1"
    expect_status 0
    ! grep -q Traceback "$scratch/plain.err" || fail "$(cat "$scratch/plain.err")"
}

# The last piece is a small one, which is written.
becomes_clones() { # ACTION
    local common
    as_plain "$1"
    assert_same source ours/copy
    assert_not_shared source plain/copy
    read -r common _ < <("$extents" source ours/copy)
    [ "$common" -ge $((64 * 65536)) ] || fail "source and ours/copy share $common bytes"
}

takes_what_was_not_asked_for() {
    local major minor
    IFS=. read -r major minor _ <<<"$(uname -r)"
    [ $((major * 1000 + ${minor%%[!0-9]*})) -ge 6005 ] || skip "Linux 6.5 is needed"
    becomes_clones pwrites-to-extents-of-a-wanted-size
}

# What is in /proc may be gone with the first read of it (kmsg), and the second one wait for ever. Python calls preadv.
is_read_once() {
    rm -rf ours
    mkdir ours
    cd ours
    trace_preloaded python3 "$program" pwrites-behind-what-is-read-from-proc >/dev/null
    grep -q 'preadv2\?([0-9]*</proc/version>' "$trace" || fail "the program has not read /proc/version"
    ! grep 'pread64([0-9]*</proc/version>' "$trace" || fail "the library reads /proc/version"
}

# What posix_fallocate(3) promised is there still: no block of the file is shared.
keeps_its_space() {
    as_plain pwrites-where-space-was-promised
    filefrag -v ours/copy >"$scratch/map"
    awk '$1 ~ /^[0-9]+:$/ && $2 + 0 < 256 && /shared/ { bad = 1 } END { exit bad }' "$scratch/map" ||
        fail "blocks that were promised to the program have been given away: $(cat "$scratch/map")"
}

redirected_output() {
    rm -rf copy
    run_preloaded busybox cat source >copy
    assert_same source copy
    assert_shared source copy
}

# The engine for tests is one that the kernel knows nothing of, and that replaces what is there.
rehearse() { # ACTION
    local library=$rehearsal
    as_plain "$1"
}

rehearse_failing() { # ACTION
    export OFFLOAD_REHEARSAL=fails
    rehearse "$1"
}

# No byte goes through the kernel's own copy where the engine is asked for it.
is_served() { # ACTION CALL
    local library=$rehearsal
    rm -rf ours
    mkdir ours
    cd ours
    trace_preloaded python3 "$program" "$1" >/dev/null
    ! grep -q "$2(.*<[^>]*/copy>.*= [1-9][0-9]\{4\}" "$trace" || fail "$1 was left to $2: $(grep "$2(" "$trace")"
}

reflink_filesystem() {
    make_source source $((64 * 65536 + 4321))
    while read -r action; do
        verdict "$action, on $fs" as_plain "$action"
    done <"$scratch/actions"
    for action in $shared; do
        verdict "$action: the blocks are shared, on $fs" becomes_clones "$action"
    done
    verdict "blocks that XFS gave by itself take a clone, on $fs" takes_what_was_not_asked_for
    verdict "space that was promised stays, on $fs" keeps_its_space
    verdict "what is in /proc is read by the program alone, on $fs" is_read_once
    if command -v busybox >/dev/null; then
        verdict "sendfile to redirected output is shared, on $fs" redirected_output
    else
        verdict "sendfile to redirected output is shared, on $fs" skip "busybox is not installed"
    fi
}

no_reflink_filesystem() {
    make_source source $((64 * 65536 + 4321))
    while read -r action; do
        verdict "$action by an engine in place, on $fs" rehearse "$action"
        verdict "$action by an engine in place that fails, on $fs" rehearse_failing "$action"
    done <"$scratch/actions"
    verdict "copy_file_range is served by an engine that the kernel does not have, on $fs" is_served ranges-of-whole-blocks copy_file_range
}

shared='pwrites pwrites-backwards pwrites-in-two-processes pwrites-from-memory-that-another-thread-reads-to
    writes-over-a-hole writes-to-what-is-mapped'
python3 "$program" --list >"$scratch/actions"
actions=$(wc -l <"$scratch/actions")
each=$((actions + $(wc -w <<<"$shared") + 4))
plan $((2 * each + 2 * actions + 1))
on_each "xfs btrfs" $each reflink_filesystem
on_each ext4 $((2 * actions + 1)) no_reflink_filesystem
