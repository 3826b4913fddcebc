#!/bin/bash
# A full disk: a clone needs no room, but the program must meet ENOSPC as it does with plain calls.
. "$(dirname "$0")/../fixture.sh"
need_root
need fallocate python3

full() { # MEBIBYTES LEFT
    local free
    make_source source 33554432
    sync -f .
    free=$(($(stat -f -c '%a * %S' .)))
    fallocate -l $((free - $1 * 1048576)) filler
    sync -f .
}

setup() {
    case $fs in
    tmpfs) mount_tmpfs 64M ;;
    *) "mount_$fs" 320M ;;
    esac
    cd "$mount" || return
    full "$left"
}

# How much fits in is the file system's secret, but it is as much each time.
meets_no_space() {
    left=$1 # mebibytes
    shift
    both_afresh setup "$@"
    [ "$(cat "$scratch/plain.status")" -ne 0 ] || fail "the test itself is wrong: the disk was not full"
    size=$(stat -c %s "$scratch/results/ours/copy")
    echo "$size bytes fitted in"
}

# Each call of these is offloaded by itself, and takes no room from the next.
one_by_one='
import os, sys
source, copy = os.open("../source", os.O_RDONLY), os.open("copy", os.O_RDWR | os.O_CREAT)
into, out, n, turns = *os.pipe(), 65536, 33554432 // 65536
def pwrite(at):
    return os.pwrite(copy, os.pread(source, n, at), at)
def splice(at):
    return os.splice(into, copy, os.splice(source, out, n, offset_src=at), offset_dst=at)
def sendfile(at):
    return os.sendfile(1, source, at, n)
def backwards(at):
    return pwrite(33554432 - n - at)
for at in range(0, n * turns, n):
    written = 0
    try:
        written = globals()[sys.argv[1]](at)
    except OSError as error:
        print(error, file=sys.stderr)
    if written < n:
        sys.exit(f"{written} of the bytes at {at}")
'

one_by_one() { # WAY
    # To a descriptor that is not the program'"'"'s own.
    # shellcheck disable=SC2016 # the other shell's
    meets_no_space 12 sh -c 'exec python3 -c "$1" "$2" >copy' - "$one_by_one" "$1"
}

# What will not be served stays in the pipe.
leaves_the_pipe_alone() {
    python3 -c "from os import splice" 2>/dev/null || skip "this Python has no os.splice"
    left=12
    fs=xfs
    setup
    mkdir ours
    cd ours
    ! trace_preloaded python3 -c "$one_by_one" splice 2>/dev/null || fail "the test itself is wrong: the disk was not full"
    grep -q 'splice(' "$trace" || fail "the test itself is wrong: nothing was spliced"
    ! grep 'vmsplice(' "$trace" || fail "the pipe was emptied"
    unmount_all
}

# Others take the last block while a program copies, which then stops half way, in the middle of a block. To cut a shared block
# takes room for another one, on XFS: what cannot be cut off is the rest of that block, and the source's.
stops_when_others_fill='
import os
(go, tell), (told, answer) = os.pipe(), os.pipe()
if os.fork() == 0:
    os.read(go, 1)
    for last, n in [(os.open(f"../filler{n}", os.O_WRONLY | os.O_CREAT), n) for n in (1 << 20, 4096, 4095)]:
        try:
            while True:
                os.write(last, bytes(n))
        except OSError:
            os.fsync(last)
    os.write(answer, b"x")
    os._exit(0)
source, copy = os.open("../source", os.O_RDONLY), os.open("copy", os.O_WRONLY | os.O_CREAT)
for turn in range(28):
    os.write(copy, os.read(source, 70001))
os.write(tell, b"x")
os.read(told, 1)
'

stops_on_a_full_disk() {
    left=80
    fs=xfs
    setup
    mkdir ours
    (cd ours && run_preloaded python3 -c "$stops_when_others_fill")
    size=$(stat -c %s ours/copy)
    echo "$size bytes are left of 1960028"
    if [ "$size" -lt 1960028 ] || [ "$size" -gt 1961984 ]; then
        fail "it is not cut off where it was written to"
    fi
    cmp -n "$size" source ours/copy || fail "the file holds bytes that are not the source's"
    unmount_all
}

plan 12
verdict "a program stops when others have filled the disk" stops_on_a_full_disk
verdict "a pipe is not emptied for a full disk" leaves_the_pipe_alone
for way in pwrite splice sendfile backwards; do
    fs=xfs
    verdict "$way onto a full $fs, each call by itself" one_by_one $way
done
for fs in xfs ext4 tmpfs; do
    verdict "dd onto a full $fs" meets_no_space 12 dd if=../source of=copy bs=128k status=noxfer
    verdict "cp onto a full $fs" meets_no_space 12 cp --reflink=never ../source copy
done
