#!/bin/bash
# That a lazy copy is one: the bytes are not read, which the kernel's count and the time show; and where it cannot be
# had, the copy is made and the report says why.
. "$(dirname "$0")/../fixture.sh"
need_root
need jq setpriv

report=$scratch/report

# What this shell's children have read, as the kernel counts it once they are waited for (proc_pid_io(5)).
bytes_read() { # SHELL
    sed -n 's/^rchar: //p' "/proc/$1/io"
}

unread() { # COMMAND...
    local before shell=$BASHPID
    rm -f copy
    before=$(bytes_read "$shell")
    OFFLOAD_BUFFERS=${buffers-lazy} run_preloaded "$@"
    read_bytes=$(($(bytes_read "$shell") - before))
    assert_same source copy
    echo "$read_bytes of $(stat -c %s source) bytes were read"
    # Up to the first write, of the part pages, and of what the program itself reads to start.
    [ "$read_bytes" -lt $(($(stat -c %s source) / 4)) ] || fail "that is no lazy copy"
}

# The witness tells the two ways apart.
is_read() { # BUFFERS COMMAND...
    ! (buffers=$1 unread "${@:2}") || fail "it counts nothing"
    [ "$(stat -c %s copy)" -eq "$(stat -c %s source)" ]
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

# Made past the hooks: IORING_OFF_SQES of a ring of two entries.
ring='import ctypes, mmap
made = ctypes.CDLL("libc.so.6").syscall(425, 2, ctypes.create_string_buffer(120))
ring = mmap.mmap(made, 4096, offset=0x10000000)
'

beside_a_ring() {
    python3 -c "$ring" || skip "there is no io_uring here"
    is_read lazy python3 -c "$ring$python"
    falls_back "memory" python3 -c "$ring$python"
}

make_large() {
    make_source source 400000123
}

make_source_on() {
    make_large
    verdict "dd does not read its source" unread dd if=source of=copy bs=128k status=none
    verdict "busybox dd does not read its source" unread busybox dd if=source of=copy bs=1M
    verdict "Perl's File::Copy does not read its source" unread perl -MFile::Copy -e 'copy("source", "copy")'
    verdict "Python's copyfileobj does not read its source" unread python3 -c "$python"
    verdict "dd reads its source where buffers are compared" is_read compare dd if=source of=copy bs=128k status=none
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
    verdict "a program that has a ring of io_uring" beside_a_ring
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

plan 19
on_each xfs 19 make_source_on
