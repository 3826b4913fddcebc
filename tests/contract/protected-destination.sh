#!/bin/bash
# A destination that may not be written: read-only, immutable, append-only, or opened for reading.
. "$(dirname "$0")/../fixture.sh"
need_root
need python3 chattr

immutable() {
    echo old >copy
    chattr +i copy
}

append_only() {
    echo old >copy
    chattr +a copy
}

read_only() {
    mkdir sealed
    mount --bind sealed sealed
    mount -o remount,ro,bind sealed
}


release() {
    chattr -f -i -a plain/copy ours/copy 2>/dev/null || true
    umount plain/sealed ours/sealed 2>/dev/null || true
}

refused() { # PREPARE COMMAND...
    prepare=$1
    shift
    local status=0
    (
        set -e
        both "$@"
    ) || status=$?
    release
    [ $status -eq 0 ] && [ "$(cat "$scratch/plain.status")" = "${expected:-1}" ]
}

sealed_in_mid_copy='
import fcntl, os, struct
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IMMUTABLE_FL = 0x80086601, 0x40086602, 0x10
source = os.open("../source", os.O_RDONLY)
copy = os.open("copy", os.O_WRONLY | os.O_CREAT)
other = os.open("copy", os.O_RDONLY)
for turn in range(60):
    if turn == 20:
        flags = struct.unpack("l", fcntl.ioctl(other, FS_IOC_GETFLAGS, b"\0" * 8))[0]
        fcntl.ioctl(other, FS_IOC_SETFLAGS, struct.pack("l", flags | FS_IMMUTABLE_FL))
    block = os.read(source, 65536)
    try:
        print(turn, os.write(copy, block), os.fstat(copy).st_size)
    except OSError as error:
        print(turn, error)
'

opened_for_reading='
import os
source = os.open("../source", os.O_RDONLY)
copy = os.open("copy", os.O_RDONLY | os.O_CREAT, 0o644)
for turn in range(3):
    try:
        print(os.write(copy, os.read(source, 1 << 17)))
    except OSError as error:
        print(error)
'

replaced_by_reading='
import os
source = os.open("../source", os.O_RDONLY)
copy = os.open("copy", os.O_WRONLY | os.O_CREAT, 0o644)
reading = os.open("copy", os.O_RDONLY)
for turn in range(40):
    if turn == 20:
        os.dup2(reading, copy)
    try:
        print(os.write(copy, os.read(source, 1 << 17)))
    except OSError as error:
        print(error)
'

as_plain() { # PROGRAM
    prepare=
    expected=0 refused '' python3 -c "$1"
}

reflink_filesystem() {
    make_source source
    verdict "an immutable destination, on $fs" refused immutable dd if=../source of=copy
    verdict "an append-only destination, on $fs" refused append_only \
        dd if=../source of=copy conv=notrunc
    verdict "a destination on a read-only mount, on $fs" refused read_only \
        dd if=../source of=sealed/copy
    verdict "a destination opened for reading, on $fs" as_plain "$opened_for_reading"
    verdict "a descriptor replaced by one for reading, on $fs" as_plain "$replaced_by_reading"
    verdict "a destination made immutable in mid-copy, on $fs" as_plain "$sealed_in_mid_copy"
}

plan 12
on_each "xfs btrfs" 6 reflink_filesystem
