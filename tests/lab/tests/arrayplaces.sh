#!/bin/bash
# Where file systems lie: on partitions that start anywhere, on logical volumes of several pieces, on disks of 4 KiB sectors,
# in an NVMe namespace. Files in them are copied by the disks, over files of other bytes, and of the whole disk nothing
# changes but the destination's blocks and what the file system keeps for itself.
# limit: 900
# shellcheck source-path=SCRIPTDIR/.. source=arrayfs.sh
. "$(dirname "$0")/../arrayfs.sh"

size=$((10 << 20))
at=$scratch/at

mount_at() { # DEVICE
    mkdir -p "$at"
    mount "$1" "$at"
    mounts+=("$at")
}

unmount_at() {
    umount "$at"
    mounts=()
}

# An ext4 file system with a source, files of other bytes around, and a destination in pieces that is written over.
fill_fs() { # DEVICE
    local piece
    mkfs.ext4 -q -F -b 4096 -E lazy_itable_init=0,lazy_journal_init=0 "$1"
    mount_at "$1"
    make_source "$at/source" $size
    tr '[:lower:]' '[:upper:]' <"$at/source" >"$scratch/old"
    for ((piece = 0; piece < 5; piece++)); do
        tail -c +$((piece * size / 5 + 1)) "$scratch/old" | head -c $((size / 5)) >>"$at/target"
        sync "$at/target"
        head -c 300000 "$scratch/old" >"$at/other-$piece"
        sync "$at/other-$piece"
    done
}

# The device as the disk has it.
snapshot() { # DEVICE FILE
    blockdev --flushbufs "$1"
    dd if="$1" of="$2" bs=1M iflag=direct status=none
}

# Blocks of 4 KiB that are not alike.
changed_blocks() { # FILE FILE
    perl -e 'open my $a, "<", $ARGV[0]; open my $b, "<", $ARGV[1]; my ($n, $x, $y) = (0);
        while (read $a, $x, 4096) { read $b, $y, 4096; print "$n\n" if $x ne $y; $n++ }' "$1" "$2"
}

# Each is the target's, the journal's (inode 8), or in use for the file system itself: of no file, and not free.
are_targets_or_its_own() { # DEVICE
    local target line block inode foreign=0 own=0 kept=0
    target=$(debugfs -R 'stat target' "$1" 2>/dev/null | sed -n 's/^Inode: \([0-9]*\) .*/\1/p')
    while read -r block inode; do
        case $inode in
        "$target") own=$((own + 1)) ;;
        8) kept=$((kept + 1)) ;;
        '<block'*)
            # Block 0, of the superblock, is none that testb knows.
            [ "$block" = 0 ] || debugfs -R "testb $block" "$1" 2>/dev/null | grep -q 'marked in use' || {
                echo "block $block is free"
                foreign=$((foreign + 1))
            }
            kept=$((kept + 1))
            ;;
        *)
            echo "block $block is inode $inode's"
            foreign=$((foreign + 1))
            ;;
        esac
    done < <(xargs -n 500 <"$scratch/changed" | while read -r line; do debugfs -R "icheck $line" "$1" 2>/dev/null; done |
        grep '^[0-9]')
    echo "of blocks that changed $own are the target's, $kept the file system's, $foreign others'"
    [ "$own" -ge $((size * 9 / 40960)) ] || fail "the target's are too few: the test itself is wrong"
    [ $foreign -eq 0 ] || fail "$foreign blocks changed that are others'"
}

copied_on() { # DEVICE
    local before
    fill_fs "$1"
    unmount_at
    snapshot "$1" "$scratch/before"
    mount_at "$1"
    cat "$at/source" >/dev/null
    before=$(sectors_moved)
    run_reported dd if="$at/source" of="$at/target" bs=1M conv=notrunc status=none
    sync "$at/target"
    echo "$(($(sectors_moved) - before)) bytes moved"
    [ $(($(sectors_moved) - before)) -le $((size / 50)) ] || fail "$(($(sectors_moved) - before)) bytes moved: $(cat "$report")"
    assert_reported engine array
    assert_reported offloaded $size
    assert_same "$at/source" "$at/target"
    unmount_at
    e2fsck -fn "$1" >"$scratch/fsck" 2>&1 || fail "the file system is damaged: $(tail -n 20 "$scratch/fsck")"
    snapshot "$1" "$scratch/after"
    changed_blocks "$scratch/before" "$scratch/after" >"$scratch/changed"
    are_targets_or_its_own "$1"
    mount_at "$1"
    assert_same "$at/source" "$at/target"
    unmount_at
}

# A disk copies to one that has the same blocks only.
unlike() { # DEVICE DEVICE
    mkfs.ext4 -q -F "$1"
    mount_at "$1"
    cp "$scratch/old" "$at/target"
    run_reported dd if="$2" of="$at/target" bs=1M count=$((size >> 20)) conv=notrunc status=none
    assert_reported offloaded 0
    assert_reported cause disk_format
    drop_caches
    cmp -n $size "$2" "$at/target"
    unmount_at
}

plan 6
need_scsi $((80 << 20)) || fail "no SCSI disks"
modprobe -a ext4 dm_mod
verdict "a whole disk" copied_on "${scsi_disks[1]}"
partition "${scsi_disks[1]}" 1 $((63 * 512)) $((64 << 20))
verdict "a partition that starts at sector 63" copied_on "${scsi_disks[1]}1"
delpart "${scsi_disks[1]}" 1
printf '%s\n' "0 20480 linear ${scsi_disks[1]} 102400" "20480 30721 linear ${scsi_disks[1]} 2047" \
    "51201 65536 linear ${scsi_disks[1]} 32769" >"$scratch/pieces"
# No piece over another: the first one lies behind the others.
dmsetup create pieces "$scratch/pieces"
volume=/dev/$(dmsetup info --columns --noheadings -o blkdevname pieces)
wait_for test -b "$volume"
verdict "a logical volume of three pieces" copied_on "$volume"
dmsetup remove pieces
make_lun 2 $((80 << 20)) 4096
verdict "a disk of 4 KiB sectors" copied_on "${scsi_disks[2]}"
need_nvme
partition "$nvme_disk" p1 $((1 << 20)) $((64 << 20))
verdict "an NVMe namespace" copied_on "${nvme_disk}p1"
delpart "$nvme_disk" 1
verdict "from a disk of 512 bytes' blocks to one of 4096" unlike "${scsi_disks[2]}" "${scsi_disks[0]}"
