#!/bin/bash
# That a lazy copy is one: the bytes are not read, which the system calls and the time show; and where it cannot be
# had, the copy is made and the report says why.
. "$(dirname "$0")/../fixture.sh"
need_root
need strace jq setpriv

report=$scratch/report

unread() { # COMMAND...
    rm -f copy
    OFFLOAD_BUFFERS=lazy trace_preloaded "$@"
    assert_same source copy
    read_bytes=$(awk -v file="<$PWD/source>" '/(^|[ ])(read|pread64|preadv2?)\(/ && index($0, file) && match($0, /= [0-9]+$/) {
        sum += substr($0, RSTART + 2) } END { print sum + 0 }' "$trace")
    echo "$read_bytes of $(stat -c %s source) bytes were read"
    # Up to the first write, of the part pages, and of what is looked at at the end.
    [ "$read_bytes" -lt $(($(stat -c %s source) / 4)) ] || fail "that is no lazy copy"
}

# Elapsed ratios in one run: the same program, of which one reads and compares.
quicker() { # TIMES COMMAND...
    local times=$1 way began compared lazy
    shift
    for way in compare lazy; do
        rm -f copy
        began=${EPOCHREALTIME/./}
        OFFLOAD_BUFFERS=$way run_preloaded "$@"
        printf -v "took_$way" '%d' $((${EPOCHREALTIME/./} - began))
        assert_same source copy
    done
    # shellcheck disable=SC2154
    compared=$took_compare lazy=$took_lazy
    echo "compare $compared us, lazy $lazy us"
    [ "$compared" -gt $((times * lazy)) ] || fail "not $times times quicker"
}

falls_back() { # WORDS COMMAND...
    local words=$1
    shift
    rm -f copy
    : >"$report"
    chmod 666 "$report"
    # Settings come before what takes the rights away.
    OFFLOAD_BUFFERS=lazy OFFLOAD_REPORT=$report LD_PRELOAD=$library limited "$@"
    assert_same source copy
    jq -e --arg words "$words" '.reads_elided == 0 and .buffers == "compare" and (.buffers_reason | contains($words))' \
        "$report" >/dev/null || fail "the report: $(cat "$report")"
}

correct() { # COMMAND...
    rm -f copy
    OFFLOAD_BUFFERS=lazy LD_PRELOAD=$library limited "$@"
    assert_same source copy
}

python='import shutil
with open("source", "rb") as source, open("copy", "wb") as copy:
    shutil.copyfileobj(source, copy)'

make_large() {
    make_source source 400000123
}

make_source_on() {
    make_large
    verdict "dd does not read its source" unread dd if=source of=copy bs=128k status=none
    verdict "busybox dd does not read its source" unread busybox dd if=source of=copy bs=1M
    verdict "Perl's File::Copy does not read its source" unread perl -MFile::Copy -e 'copy("source", "copy")'
    verdict "Python's copyfileobj does not read its source" unread python3 -c "$python"
    verdict "dd is quicker than by comparing" quicker 3 dd if=source of=copy bs=128k status=none
    verdict "without the right to userfaultfd the report says so" falls_back "userfaultfd" \
        setpriv --reuid 65534 --regid 65534 --clear-groups dd if=source of=copy bs=128k status=none
    for megabytes in 6 8 20 60; do
        verdict "a copy with $megabytes MB of address space" correct \
            bash -c "ulimit -v ${megabytes}000; exec dd if=source of=copy bs=128k status=none"
    done
    for descriptors in 5 6 8; do
        verdict "a copy with $descriptors descriptors" correct \
            bash -c "ulimit -n $descriptors; exec dd if=source of=copy bs=128k status=none"
    done
    verdict "a copy by a user at the limit of processes" correct \
        setpriv --reuid 65534 --regid 65534 --clear-groups bash -c "ulimit -u 1; exec dd if=source of=copy bs=128k status=none"
    verdict "a copy without /proc" correct \
        unshare --mount bash -c "umount -l /proc; exec dd if=source of=copy bs=128k status=none"
    for allocator in jemalloc.so.2 tcmalloc_minimal.so.4 mimalloc.so.2; do
        verdict "a program with lib$allocator" with_allocator "lib$allocator"
    done
}

with_allocator() {
    local path
    path=$(ldconfig -p | awk -v name="$1" '$1 == name { print $NF; exit }')
    [ -n "$path" ] || skip "$1 is not installed"
    rm -f copy
    OFFLOAD_BUFFERS=lazy limited env LD_PRELOAD="$path:$library" python3 -c "$python"
    assert_same source copy
}

plan 18
on_each xfs 18 make_source_on
