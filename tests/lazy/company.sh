#!/bin/bash
# Who has something in common with a program whose copy is lazy: a process that reads on from the same offset, whoever
# stops its group, kills the filler, or runs it on an emulated processor.
. "$(dirname "$0")/../fixture.sh"
need_root
need python3 jq setpriv prlimit

limit=60
report=$scratch/report
export OFFLOAD_BUFFERS=lazy OFFLOAD_POLICY=always

# Each record of the source is read by one of two processes. Prints how many bytes were read in all.
sharing='import os, sys, time
source = os.open("source", os.O_RDONLY)
for reader in (0, 1):
    if os.fork() == 0:
        time.sleep(reader * int(sys.argv[1]) / 1e5)
        copy = os.open("part.%d" % reader, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        buffer = bytearray(65536)
        while n := os.readv(source, [buffer]) if reader else len(data := os.read(source, 65536)):
            os.write(copy, memoryview(buffer)[:n] if reader else data)
        os._exit(0)
os.wait()
os.wait()
print(sum(os.stat("part.%d" % reader).st_size for reader in (0, 1)))'

shared_offset() { # COMMAND...
    local round size
    size=$(stat -c %s source)
    rm -f part.*
    for ((round = 0; round < 40; round++)); do
        rm -f part.*
        [ "$(run_preloaded "$@" python3 -c "$sharing" "$round")" = "$size" ] || fail "round $round: $(ls -l part.*)"
    done
    rm -f part.*
}

# A copy of a second, during which `pause` is done by this shell; then the program has the buffer looked at or written.
steps='import io, os, sys, time
reader = io.FileIO("source")
copy = os.open("copy", os.O_RDWR | os.O_CREAT, 0o600)
seen = os.open("seen", os.O_WRONLY | os.O_CREAT, 0o600)
buffer = bytearray(1 << 17)
step = 0
while n := reader.readinto(buffer):
    whole = memoryview(buffer)[:n]
    if step == 100:
        os.mkdir("waiting")
        while not os.path.exists("go"):
            time.sleep(0.01)
        if sys.argv[1] == "elsewhere":
            os.write(seen, whole)
        elif sys.argv[1] == "placed":
            os.pwrite(seen, whole, 5)
        elif sys.argv[1] == "changed":
            buffer[70000] = 33
        elif sys.argv[1] == "pieces":
            os.writev(copy, [whole[:1000], whole[1000:]])
            whole = None
    if whole:
        os.write(copy, whole)
    step += 1'

begin() { # KIND
    rm -rf copy seen go waiting "$report"
    # A group of its own.
    LD_PRELOAD=$library OFFLOAD_REPORT=$report timeout -s KILL "$limit" python3 -c "$steps" "$1" &
    runner=$!
    until [ -d waiting ]; do
        kill -0 "$runner" || fail "it never came to where it waits"
        sleep 0.02
    done
    python=$(pgrep -P "$runner")
    filler=$(pgrep -P "$python" offload-fill) || fail "it is not lazy"
}

# The signal alone is not yet its end: nobody who had it killed while a call of the program's is on its way gets more than 025 says.
kill_filler() {
    kill -KILL "$filler"
    until [[ $(ps -o state= -p "$filler") == @(|Z*) ]]; do
        sleep 0.02
    done
}

finished() {
    wait "$runner" || fail "the program ended with $?"
    assert_same source copy
    jq -se 'any(.reads_elided > 0)' "$report" >/dev/null || fail "it was not lazy: $(cat "$report")"
}

group_stopped() {
    begin elsewhere
    kill -STOP -- "-$runner"
    kill -CONT "$runner" "$python"
    touch go
    finished
}

filler_killed() { # KIND
    begin "$1"
    kill_filler
    touch go
    finished
    # What was written elsewhere is the 101st piece of the source.
    case $1 in
    elsewhere) cmp seen <(dd if=source bs=128k skip=100 count=1 status=none) ;;
    placed) cmp <(tail -c +6 seen) <(dd if=source bs=128k skip=100 count=1 status=none) ;;
    esac
}

# What the program changes then lies among zeros that are not the source's: it cannot be written, and no zeros are.
filler_killed_before_a_change() {
    begin changed
    kill_filler
    touch go
    ! wait "$runner" || fail "the program was told of nothing"
    cmp -n "$(stat -c %s copy)" source copy || fail "other bytes were written"
}

emulated() {
    local size
    command -v valgrind >/dev/null || skip "valgrind is not installed"
    for size in 128k 7000; do
        rm -f copy
        run_preloaded valgrind -q --error-exitcode=3 dd if=source of=copy bs=$size status=none 2>"$scratch/said"
        [ ! -s "$scratch/said" ] || fail "bs=$size: Valgrind says: $(head -n 5 "$scratch/said")"
        assert_same source copy
    done
}

# 64 KiB may be locked, without the privilege to lock more.
little_to_lock() {
    ln -sf source ../source
    both prlimit --memlock=65536:65536 setpriv --bounding-set=-ipc_lock "$build/tests/lazy/acts" locks_future_memory
}

# Where new memory is locked, the filler might come to have none for what it reads: there is no filler then.
nothing_left_to_lock() {
    ln -sf source ../source
    rm -f "$report"
    export OFFLOAD_REPORT=$report
    both prlimit --memlock=4000000:4000000 setpriv --bounding-set=-ipc_lock "$build/tests/lazy/acts" locks_future_memory_first_raw
    jq -se 'any(.destination | endswith("other")) and all(.reads_elided == 0 or (.destination | endswith("copy")))' "$report" >/dev/null ||
        fail "the report: $(cat "$report")"
}

make_source_on() {
    local kind
    make_source source 40000123
    verdict "an offset shared by two readers" shared_offset env
    verdict "an offset shared by two readers who may not be lazy" shared_offset setpriv --bounding-set=-sys_ptrace \
        unshare --mount bash -c 'mount --bind /dev/null /dev/userfaultfd; exec "$@"' bash
    verdict "a group that is stopped, and the program alone that is continued" group_stopped
    for kind in elsewhere placed pieces; do
        verdict "the filler is killed before bytes are written: $kind" filler_killed "$kind"
    done
    verdict "the filler is killed before the buffer is changed" filler_killed_before_a_change
    verdict "memory that may not all be locked" little_to_lock
    verdict "memory that is locked until no more may be" nothing_left_to_lock
    verdict "a program under Valgrind" emulated
}

plan 10
on_each xfs 10 make_source_on
