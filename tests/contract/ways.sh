#!/bin/bash
# The ways in which programs copy: by vectors, from other memory, from mappings, around holes, in threads. What they see
# is as without the library, and what could be shared is.
. "$(dirname "$0")/../fixture.sh"
need_root
need python3 strace

program=$source_tree/tests/contract/ways.py

# An old time of access moves with the next read, whoever makes it.
as_plain() { # WAY
    touch -a -d @1600000000 source holes
    mount -o remount,strictatime "$mount"
    both python3 "$program" "$1"
    expect_status 0
    ! grep -q Traceback "$scratch/plain.err" || fail "$(cat "$scratch/plain.err")"
}

# All but the last block, which a program may have written in a small piece.
shares() { # WAY
    local common source=source
    [ "$1" != shares-around-holes ] || source=holes
    as_plain "$1"
    read -r common _ < <("$extents" "$source" plain/copy)
    [ "$common" -eq 0 ] || fail "the plain copy shares $common bytes"
    read -r common _ < <("$extents" "$source" ours/copy)
    [ "$common" -ge $((48 * 65536)) ] || fail "$source and ours/copy share $common bytes"
}

make_files() {
    make_source source $((64 * 65536 + 4321))
    rm -f holes
    truncate -s 64M holes
    for at in 0 17 400 1000; do
        dd if=source of=holes bs=64k count=16 seek=$at conv=notrunc status=none
    done
    sync holes
}

# A description that a child has as well: its offset is not to be moved in two steps, so its writes are not served.
leaves_shared_offsets_alone() {
    rm -f copy
    trace_preloaded python3 -c '
import os
source, copy = os.open("source", os.O_RDONLY), os.open("copy", os.O_RDWR | os.O_CREAT)
os.write(copy, os.read(source, 131072))
if os.fork() == 0:
    os._exit(0)
while block := os.read(source, 131072):
    os.write(copy, block)
'
    assert_same source copy
    [ "$(clones_to copy)" -le 1 ] || fail "$(clones_to copy) clones were made for writes at a shared offset"
}

# Nor is one that a shell opened the program's own for the stream that it makes of it.
leaves_inherited_streams_alone() {
    rm -f copy
    # shellcheck disable=SC2016 # the other shell's
    trace_preloaded sh -c 'exec python3 -c "$1" 3>copy' - '
import ctypes, os
source = os.open("source", os.O_RDONLY)
ctypes.CDLL(None).fdopen(3, b"w")
while block := os.read(source, 131072):
    os.write(3, block)
'
    assert_same source copy
    [ "$(clones_to copy)" -eq 0 ] || fail "$(clones_to copy) clones were made for writes at a shared offset"
}

on_filesystem() {
    make_files
    while read -r way; do
        case $fs:$way in
        xfs:shares* | btrfs:shares*) verdict "$way, on $fs" shares "$way" ;;
        *) verdict "$way, on $fs" as_plain "$way" ;;
        esac
    done <"$scratch/ways"
    verdict "writes at a shared offset are the program's, on $fs" leaves_shared_offsets_alone
    verdict "writes beside a stream on what a shell opened are the program's, on $fs" leaves_inherited_streams_alone
}

python3 "$program" --list >"$scratch/ways"
count=$(wc -l <"$scratch/ways")
plan $((3 * (count + 2)))
on_each "xfs btrfs ext4" $((count + 2)) on_filesystem
