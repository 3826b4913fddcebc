#!/bin/bash
# The source or the copy changes in mid-copy, by the program itself or by another process.
. "$(dirname "$0")/../fixture.sh"
need_root
need python3 strace

program=$source_tree/tests/contract/copy-with-event.py

own_source() {
    cp --reflink=auto ../source source
}

as_plain() {
    prepare=own_source
    both python3 "$program" "$@"
    expect_status 0
}

paced_copy=("$build/tests/tools/paced" long copy "$scratch/written" 100000)

# Another process writes behind the copy while the library's clone is made, at whose end strace stops the program for as
# long: what was written stays, as it does behind plain calls. A later clone begins in the middle of a write.
written_behind() { # WHICH CLONE
    local copier which stopped
    rm -f copy
    trace_preloaded -e trace=ioctl "${paced_copy[@]}"
    which=$(awk -v nth="$1" '/ ioctl\(/ { count++ } /CLONERANGE/ && ++clones == nth { print count }' "$trace")
    [ -n "$which" ] || fail "there is no such clone: $(cat "$trace")"
    rm -f copy "$trace"
    trace_preloaded -e trace=ioctl -e "inject=ioctl:signal=STOP:when=$which" "${paced_copy[@]}" &
    copier=$!
    for ((stopped = 0; stopped < 600; stopped++)); do
        ! grep -qs 'stopped by SIGSTOP' "$trace" || break
        sleep 0.1
    done
    tail -n 3 "$trace" | grep -q CLONERANGE || fail "it was not stopped in a clone: $(cat "$trace")"
    printf 'of another process' | dd of=copy bs=1 seek=20000000 conv=notrunc status=none
    kill -CONT "$(sed -n '$s/ .*//p' "$trace")"
    wait $copier || fail "the copy ended with $?: $(cat "$trace")"
    cmp -n "$(stat -c %s long)" long copy
    cmp -i 20000000:0 copy <(printf 'of another process') ||
        fail "the copy has $(stat -c %s copy) bytes: $(cat "$trace")"
}

reflink_filesystem() {
    make_source source $((48 * 65536))
    make_source long $((12 << 20))
    verdict "another process writes behind the first clone, on $fs" written_behind 1
    verdict "another process writes behind a later clone, on $fs" written_behind 2
    while read -r event who when; do
        verdict "$event by $who $when a read and its write, on $fs" as_plain "$event" "$who" "$when"
    done <"$scratch/events"
}

python3 "$program" --list >"$scratch/events"
count=$(($(wc -l <"$scratch/events") + 2))
plan $((2 * count))
on_each "xfs btrfs" "$count" reflink_filesystem
