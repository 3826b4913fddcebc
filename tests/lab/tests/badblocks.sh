#!/bin/bash
# The source lies partly on blocks that its disk cannot read. Programs that read are told so, and leave what they leave
# without the library. A kernel copy that became a clone has not read: there the copy cannot be read in the same place.
. "$(dirname "$0")/../guest.sh"

size=$((4 << 20))
disk=${disk_of[xfs]}
bad=/dev/mapper/bad

# In sectors of 512 bytes: where the byte of the file is on the disk.
sector_of() { # FILE BYTE
    filefrag -e -b512 "$1" | awk -v at=$(($2 / 512)) '
        $1 ~ /^[0-9]+:$/ { gsub(/[.:]/, " "); if (at >= $2 && at <= $3) print $4 + at - $2 }'
}

# A page of the disk is an error from now on, or none.
set_bad() { # [SECTOR]
    local all
    all=$(blockdev --getsz "$disk")
    if [ $# -eq 0 ]; then
        echo "0 $all linear $disk 0"
    else
        echo "0 $1 linear $disk 0"
        echo "$1 8 error"
        echo "$(($1 + 8)) $((all - $1 - 8)) linear $disk $(($1 + 8))"
    fi | { dmsetup suspend bad && dmsetup load bad && dmsetup resume bad; }
}

make_disk() {
    modprobe dm_mod
    modprobe xfs
    dmsetup create bad --table "0 $(blockdev --getsz "$disk") linear $disk 0" && dmsetup mknodes
    at_end+=('dmsetup remove --deferred bad')
    mkfs.xfs -q -f -m reflink=1 "$bad"
    mkdir -p "$scratch/at"
    mount "$bad" "$scratch/at"
    mounts+=("$scratch/at")
}

prepare=drop_caches

# The page of the source with that byte is bad from now on.
make_bad() { # BYTE
    local sector
    cd "$scratch/at"
    sector=$(sector_of source "$1")
    [ -n "$sector" ] || fail "$(filefrag -e source)"
    set_bad "$sector"
    drop_caches
    cannot_be_read source "$1"
}

cannot_be_read() { # FILE BYTE
    ! dd if="$1" of=/dev/null bs=4096 skip=$(($2 / 4096)) count=1 status=none 2>/dev/null || fail "$1 can be read at $2"
}

told_as_plain() { # BYTE STATUS COMMAND...
    local at=$1 status=$2
    shift 2
    make_bad "$at"
    both "$@"
    set_bad
    expect_status "$status"
    grep -q 'Input/output error' "$scratch/plain.err" || fail "nothing was told: $(cat "$scratch/plain.err")"
}

bad_in_the_same_place() { # BYTE COMMAND...
    local at=$1
    shift
    make_bad "$at"
    rm -f copy
    "$@"
    drop_caches
    cannot_be_read copy "$at"
    set_bad
    drop_caches
    assert_same source copy
}

# It is the error that keeps it from being offloaded.
is_offloaded_without() {
    cd "$scratch/at"
    run_reported dd if=source of=copy bs=64k status=none
    assert_reported offloaded $size
}

loop='import os, sys
source, copy = os.open("../source", os.O_RDONLY), os.open("copy", os.O_WRONLY | os.O_CREAT)
try:
    while block := os.read(source, 65536):
        os.write(copy, block)
except OSError as error:
    print(os.lseek(source, 0, 1), os.lseek(copy, 0, 1), os.fstat(copy).st_size)
    sys.exit(str(error))'

copyfile='import shutil; shutil.copyfile("source", "copy")'

cases() { # WHERE BYTE
    verdict "dd stops there, $1" told_as_plain "$2" 1 dd if=../source of=copy bs=64k status=none
    verdict "dd goes on with zeros, $1" told_as_plain "$2" 0 dd if=../source of=copy bs=4k conv=noerror,sync status=noxfer
    verdict "a loop of read and write, $1" told_as_plain "$2" 1 python3 -c "$loop"
    verdict "sendfile, $1" bad_in_the_same_place "$2" run_preloaded python3 -c "$copyfile"
    verdict "busybox, $1" bad_in_the_same_place "$2" run_preloaded busybox cp source copy
}

plan 11
make_disk || fail "cannot make the disk"
make_source "$scratch/at/source" $size
verdict "dd is offloaded where all can be read" is_offloaded_without
cases "in the middle" $((2 << 20 | 5 << 12))
cases "at the end" $((size - 4096))
