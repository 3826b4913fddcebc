#!/bin/bash
# The engine for SCSI disks, without the library around it: what it has a real target copy is right, nothing else
# changes, and the machine moves none of it.
. "$(dirname "$0")/../guest.sh"

tool=$build/tests/tools/diskcopy
size=$((96 << 20))

# Text that names its place, so that a block in the wrong one is seen.
fill() { # NUMBER
    make_source "$(lun_file "$1")" $size
    # What the kernel remembers of the disk is older.
    blockdev --flushbufs "${scsi_disks[$1]}"
}

# What the machine has read from and written to the disks, in sectors.
sectors_moved() {
    awk '$3 ~ /^sd/ { n += $6 + $10 } END { print n + 0 }' /proc/diskstats
}

# Has the disks copy, and keeps what the tool says; fails if the machine moves data.
disks_copy() { # ARGUMENTS
    local before after
    before=$(sectors_moved)
    "$tool" "$@" >"$scratch/said" || {
        cat "$scratch/said"
        fail "diskcopy $*"
    }
    after=$(sectors_moved)
    [ "$before" -eq "$after" ] || fail "the machine moved $((after - before)) sectors"
}

commands() {
    grep -c '^command' "$scratch/said"
}

between_disks() {
    fill 0
    truncate -s 0 "$(lun_file 1)"
    truncate -s $size "$(lun_file 1)"
    disks_copy "${scsi_disks[0]}" "${scsi_disks[1]}"
    cat "$scratch/said"
    cmp "$(lun_file 0)" "$(lun_file 1)"
    drop_caches
    cmp "${scsi_disks[0]}" "${scsi_disks[1]}"
}

plan 1
need_scsi $size || fail "no SCSI disks"
ls -l /dev/bsg
verdict "a disk copies to another" between_disks
