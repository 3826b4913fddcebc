#!/bin/bash
# Who stops, ends or looks into a program in the middle of a lazy copy: nothing hangs, and the copy is right.
. "$(dirname "$0")/../fixture.sh"
need_root
need python3 strace jq

limit=60
export OFFLOAD_BUFFERS=lazy OFFLOAD_REPORT=$scratch/report

# A copy of some seconds, which in two of its steps has the kernel look at the buffer.
steps='import io, os, time
inward, outward = os.pipe()
reader = io.FileIO("source")
copy = os.open("copy", os.O_WRONLY | os.O_CREAT, 0o600)
buffer = bytearray(1 << 17)
step = 0
while n := reader.readinto(buffer):
    if step in (5, 300, 305):
        os.write(outward, memoryview(buffer)[65536:66000])
    os.write(copy, memoryview(buffer)[:n])
    step += 1
    time.sleep(0.003)'

begin() {
    rm -f copy "$scratch/report"
    LD_PRELOAD=$library timeout -s KILL "$limit" python3 -c "$steps" &
    runner=$!
    until python=$(pgrep -P "$runner") && [ "$(stat -c %s copy 2>/dev/null || echo 0)" -gt 0 ]; do
        sleep 0.05
    done
    # Lazy by now: the filler is there.
    until pgrep -P "$python" offload-fill >/dev/null; do
        sleep 0.01
    done
}

finished() {
    wait "$runner" || fail "the program ended with $?"
    assert_same source copy
    jq -e '.reads_elided > 0' "$scratch/report" >/dev/null || fail "it was not lazy: $(cat "$scratch/report")"
}

traced() {
    begin
    timeout -s KILL "$limit" strace -f -p "$python" -o /dev/null || fail "strace ended with $?"
    finished
}

stopped() {
    local i
    begin
    for i in 1 2 3 4 5; do
        kill -STOP "$python"
        sleep 0.05
        kill -CONT "$python"
        sleep 0.05
    done
    finished
}

killed() {
    local i
    for i in 1 2 3 4 5; do
        begin
        kill -KILL "$python"
        wait "$runner" || true
        [ ! -e "/proc/$python" ] || fail "something of it is left"
    done
}

dumped() {
    begin
    kill -ABRT "$python"
    wait "$runner" || true
    [ ! -e "/proc/$python" ] || fail "something of it is left"
}

# Whoever kills the filler alone has the program go on by comparing: what it had not read is read before it is written.
filler_killed() {
    local filler
    for filler in 1 3 5; do
        begin
        sleep "0.0$filler"
        pkill -KILL -P "$python" offload-fill
        finished
        [ "$(jq -r .buffers_reason "$scratch/report")" = "$(sed -n 's/^REASON(LAZY_KILLED, "\(.*\)",$/\1/p' \
            "$source_tree/src/core/reasons.def")" ] || fail "the report: $(cat "$scratch/report")"
    done
}

# Makes a control group that may have 40 MB, of either version.
little_memory() {
    local limit_file
    for limit_file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
        group=$(dirname "$limit_file")/offload-test.$$
        mkdir "$group" 2>/dev/null || continue
        limit_file=$group/$(basename "$limit_file")
        [ ! -e "$limit_file" ] || { echo 40M >"$limit_file" && return; }
        rmdir "$group"
    done
    return 1
}

# Each look fills eight megabytes, while the files' pages press.
pressed() {
    little_memory || skip "no control group with a limit on memory"
    rm -f copy
    (
        echo "$BASHPID" >"$group/cgroup.procs"
        LD_PRELOAD=$library limited python3 -c "${steps//1 << 17/8 << 20}"
    ) || fail "the program ended with $?"
    rmdir "$group"
    assert_same source copy
}

reflink_filesystem() {
    make_source source 80000123
    verdict "strace of all threads on $fs" traced
    verdict "stopped and continued on $fs" stopped
    verdict "killed on $fs" killed
    verdict "ended with a core dump on $fs" dumped
    verdict "the filler killed on $fs" filler_killed
    verdict "little memory on $fs" pressed
}

plan 12
on_each "xfs btrfs" 6 reflink_filesystem
