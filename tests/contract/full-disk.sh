#!/bin/bash
# A full disk: a clone needs no room, but the program must meet ENOSPC as it does with plain calls.
. "$(dirname "$0")/../fixture.sh"
need_root
need fallocate

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

plan 6
for fs in xfs ext4 tmpfs; do
    verdict "dd onto a full $fs" meets_no_space 12 dd if=../source of=copy bs=128k status=noxfer
    verdict "cp onto a full $fs" meets_no_space 12 cp --reflink=never ../source copy
done
