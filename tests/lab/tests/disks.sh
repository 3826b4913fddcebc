#!/bin/bash
# The disks that copy by themselves: theirs is a copy of the bytes, of which the host moves none.
. "$(dirname "$0")/../guest.sh"

blocks=8192 # of 512 bytes

# What the kernel has read from and written to a disk, in sectors.
sectors_moved() { # DISK
    awk '{ print $3 + $7 }' "/sys/block/$(basename "$1")/stat"
}

scsi_copies() {
    local before after
    make_source "$scratch/data" $((blocks * 512))
    dd if="$scratch/data" of="${scsi_disks[0]}" bs=1M oflag=direct status=none
    before=$(($(sectors_moved "${scsi_disks[0]}") + $(sectors_moved "${scsi_disks[1]}")))
    sg_xcopy if="${scsi_generic[0]}" of="${scsi_generic[1]}" bs=512 count=$blocks
    after=$(($(sectors_moved "${scsi_disks[0]}") + $(sectors_moved "${scsi_disks[1]}")))
    [ "$before" -eq "$after" ] || fail "the kernel moved $((after - before)) sectors"
    cmp -n $((blocks * 512)) "$scratch/data" "${scsi_disks[1]}"
}

nvme_copies() {
    make_source "$scratch/data" 65536
    dd if="$scratch/data" of="$nvme_disk" bs=64k oflag=direct status=none
    # The number of blocks is one less than is meant.
    nvme copy "$nvme_disk" --sdlba=65536 --slbs=0 --blocks=127
    dd if="$nvme_disk" of="$scratch/copy" bs=64k skip=512 count=1 iflag=direct status=none
    assert_same "$scratch/data" "$scratch/copy"
}

plan 2
# shellcheck disable=SC2119
need_scsi || fail "no SCSI disks"
need_nvme || fail "no NVMe drive"
verdict "a SCSI disk copies to another" scsi_copies
verdict "an NVMe drive copies within itself" nvme_copies
