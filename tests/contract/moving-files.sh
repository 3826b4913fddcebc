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

# Runs COMMAND until strace has stopped it at the end of its WHICHth call of that name; `copier` is its strace.
stop_in() { # CALL WHICH COMMAND...
    local stopped
    rm -f copy "$trace"
    trace_preloaded -e trace="$1" -e "inject=$1:signal=STOP:when=$2" "${@:3}" &
    copier=$!
    for ((stopped = 0; stopped < 600; stopped++)); do
        ! grep -qs 'stopped by SIGSTOP' "$trace" || break
        sleep 0.1
    done
}

go_on() {
    kill -CONT "$(sed -n '$s/ .*//p' "$trace")"
    wait "$copier" || fail "the copy ended with $?: $(cat "$trace")"
}

writes_at() { # OFFSET
    printf 'of another process' | dd of=copy bs=1 seek="$1" conv=notrunc status=none
}

has_kept_at() { # OFFSET
    cmp -i "$1:0" copy <(printf 'of another process') || fail "the copy has $(stat -c %s copy) bytes: $(cat "$trace")"
}

# Another process writes behind the copy while the library's clone is made, at whose end strace stops the program for as
# long: what was written stays, as it does behind plain calls. A later clone begins in the middle of a write.
written_behind() { # WHICH CLONE
    local which
    rm -f copy
    trace_preloaded -e trace=ioctl "${paced_copy[@]}"
    which=$(awk -v nth="$1" '/ ioctl\(/ { count++ } /CLONERANGE/ && ++clones == nth { print count }' "$trace")
    [ -n "$which" ] || fail "there is no such clone: $(cat "$trace")"
    stop_in ioctl "$which" "${paced_copy[@]}"
    tail -n 3 "$trace" | grep -q CLONERANGE || fail "it was not stopped in a clone: $(cat "$trace")"
    writes_at 20000000
    go_on
    cmp -n "$(stat -c %s long)" long copy
    has_kept_at 20000000
}

beginning='
import os, sys
flags = os.O_SYNC if sys.argv[1:] else 0
source, copy = os.open("long", os.O_RDONLY), os.open("copy", os.O_WRONLY | os.O_CREAT | flags, 0o644)
for turn in range(16):
    os.write(copy, os.read(source, 65536))
'

# The same before the first clone, when it was tried whether the copy can be cut off: no clone runs over it.
written_ahead() {
    stop_in ftruncate 1 python3 -c "$beginning"
    grep -q 'ftruncate(.*copy' "$trace" || fail "it was not stopped: $(cat "$trace")"
    writes_at 2000000
    go_on
    [ "$(stat -c %s copy)" -eq 2000018 ] || fail "the copy has $(stat -c %s copy) bytes"
    cmp -n $((16 * 65536)) long copy
    has_kept_at 2000000
}

# And while what was cloned is put on the disk: it is no state that the library has left.
written_beside() {
    stop_in fsync 1 python3 -c "$beginning" synchronously
    grep -q 'fsync(.*copy' "$trace" || fail "it was not stopped: $(cat "$trace")"
    writes_at 2000000
    go_on
    cmp -n $((16 * 65536)) long copy
    cmp -n 18 -i 2000000:0 copy <(printf 'of another process') || fail "what the other process wrote is lost"
}

# And where that write has waited for the try, and is on its way when the copy goes on.
written_ahead_slowly() {
    local stopped line writer
    stop_in ftruncate 1 python3 -c "$beginning"
    grep -q 'ftruncate(.*copy' "$trace" || fail "it was not stopped: $(cat "$trace")"
    stopped=$(sed -n '$s/ .*//p' "$trace")
    mkfifo told
    "$build/tests/tools/slow" copy 2000000 <told >said &
    writer=$!
    exec {line}>told
    until grep -q writing said || ! kill -0 "$writer"; do sleep 0.02; done
    kill -CONT "$stopped"
    # At the file's lock, whoever waits for it.
    until [[ $(ps -o state= -p "$stopped") == @(D|) ]]; do sleep 0.02; done
    echo >&"$line"
    exec {line}>&-
    wait "$writer" || fail "the other process's write failed"
    wait "$copier" || fail "the copy ended with $?: $(cat "$trace")"
    rm told said
    [ "$(stat -c %s copy)" -eq 2004096 ] || fail "the copy has $(stat -c %s copy) bytes"
    cmp -n $((16 * 65536)) long copy
    cmp -i 2000000:0 copy <(printf 'W%.0s' {1..4096}) || fail "what the other process wrote is lost"
}

reflink_filesystem() {
    make_source source $((48 * 65536))
    make_source long $((12 << 20))
    verdict "another process writes ahead before the first clone, on $fs" written_ahead
    verdict "another process writes while the first clone is put on the disk, on $fs" written_beside
    verdict "another process is in the middle of a write ahead before the first clone, on $fs" written_ahead_slowly
    verdict "another process writes behind the first clone, on $fs" written_behind 1
    verdict "another process writes behind a later clone, on $fs" written_behind 2
    while read -r event who when; do
        verdict "$event by $who $when a read and its write, on $fs" as_plain "$event" "$who" "$when"
    done <"$scratch/events"
}

python3 "$program" --list >"$scratch/events"
count=$(($(wc -l <"$scratch/events") + 5))
plan $((2 * count))
on_each "xfs btrfs" "$count" reflink_filesystem
