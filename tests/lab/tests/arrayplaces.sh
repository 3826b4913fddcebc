#!/bin/bash
# Where file systems lie: on partitions that start anywhere, on logical volumes of several pieces, on disks of 4 KiB sectors,
# in an NVMe namespace. Files in them are copied by the disks, over files of other bytes and to new ones, and of the whole
# disk nothing changes but the destination's blocks and what the file system keeps for itself.
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

make_fs_on() { # FS DEVICE
    case $1 in
    ext4) mkfs.ext4 -q -F -b 4096 -E lazy_itable_init=0,lazy_journal_init=0 "$2" ;;
    xfs) mkfs.xfs -q -f "$2" >/dev/null ;;
    esac
}

check_fs_on() { # FS DEVICE
    case $1 in
    ext4) e2fsck -fn "$2" ;;
    xfs) xfs_repair -n "$2" ;;
    esac >"$scratch/fsck" 2>&1 || fail "the file system is damaged: $(tail -n 20 "$scratch/fsck")"
}

# A file system with a source, files of other bytes around, and a destination in pieces that is written over; or none, and
# all that is free has been another file's.
fill_fs() { # FS DEVICE KIND
    local piece
    make_fs_on "$1" "$2"
    mount_at "$2"
    make_source "$at/source" $size
    tr '[:lower:]' '[:upper:]' <"$at/source" >"$scratch/old"
    for ((piece = 0; piece < 5; piece++)); do
        tail -c +$((piece * size / 5 + 1)) "$scratch/old" | head -c $((size / 5)) >>"$at/target"
        sync "$at/target"
        head -c 300000 "$scratch/old" >"$at/other-$piece"
        sync "$at/other-$piece"
    done
    [ "$3" = over ] || {
        rm "$at/target"
        leave_secrets "$at" >"$scratch/secrets"
    }
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

# Who has each of the blocks in $scratch/changed: lines "NUMBER target", "NUMBER file INODE", "NUMBER free", or "NUMBER own",
# which is the file system's. INODE is the target's.
owners_on_ext4() { # DEVICE INODE
    local line block inode
    while read -r block inode; do
        case $inode in
        "$2") echo "$block target" ;;
        # The journal. The folder has a new name.
        8) echo "$block own" ;;
        2) [ "$kind" = new ] && echo "$block own" || echo "$block file 2" ;;
        '<block'*)
            # Block 0, of the superblock, is none that testb knows.
            if [ "$block" = 0 ] || debugfs -R "testb $block" "$1" 2>/dev/null | grep -q 'marked in use'; then
                echo "$block own"
            else
                echo "$block free"
            fi
            ;;
        *) echo "$block file $inode" ;;
        esac
    done < <(xargs -n 500 <"$scratch/changed" | while read -r line; do debugfs -R "icheck $line" "$1" 2>/dev/null; done |
        grep '^[0-9]')
}

# xfs_db counts blocks in its own way, and is told sectors.
owners_on_xfs() { # DEVICE INODE
    local block type inode
    {
        echo blockget -n
        awk '{ print "daddr " $1 * 8 "\nblockuse -n" }' "$scratch/changed"
    } | xfs_db -r "$1" | sed -n 's/^block [0-9]* ([0-9]*\/[0-9]*) type //p' >"$scratch/uses"
    paste -d ' ' "$scratch/changed" "$scratch/uses" | while read -r block type _ inode _; do
        case $type in
        data) [ "$inode" = "$2" ] && echo "$block target" || echo "$block file $inode" ;;
        free* | unknown | missing | '') echo "$block free" ;;
        *) echo "$block own" ;;
        esac
    done
}

are_targets_or_its_own() { # FS DEVICE INODE
    "owners_on_$1" "$2" "$3" >"$scratch/owners"
    local all own kept
    all=$(wc -l <"$scratch/changed") own=$(grep -c ' target$' "$scratch/owners") kept=$(grep -c ' own$' "$scratch/owners")
    echo "of $all blocks that changed $own are the target's, $kept the file system's, $((all - own - kept)) others'"
    [ "$own" -ge $((size * 9 / 40960)) ] || fail "the target's are too few: the test itself is wrong"
    [ $((own + kept)) -eq "$all" ] || fail "others' blocks changed: $(grep -v 'target$\|own$' "$scratch/owners" | head -n 20)"
}

copied_on() { # FS DEVICE KIND
    local before moved filled=0 inode kind=$3
    fill_fs "$1" "$2" "$3"
    unmount_at
    snapshot "$2" "$scratch/before"
    mount_at "$2"
    cat "$at/source" >/dev/null
    note_commands
    before=$(sectors_moved)
    run_reported dd if="$at/source" of="$at/target" bs=1M conv=notrunc status=none
    sync "$at/target"
    moved=$(($(sectors_moved) - before))
    read -r _ filled _ < <(noted)
    moved=$((moved - filled))
    echo "$moved bytes moved"
    [ $moved -le $((size / 50)) ] || fail "that is too many: $(cat "$report")"
    assert_reported engine array
    assert_reported offloaded $size
    assert_same "$at/source" "$at/target"
    inode=$(stat -c %i "$at/target")
    unmount_at
    check_fs_on "$1" "$2"
    snapshot "$2" "$scratch/after"
    changed_blocks "$scratch/before" "$scratch/after" >"$scratch/changed"
    are_targets_or_its_own "$1" "$2" "$inode"
    mount_at "$2"
    assert_same "$at/source" "$at/target"
    unmount_at
}

# The disk is the one on which DEVICE lies.
new_on() { # DISK FS DEVICE
    disk_gives_written_blocks "$1" || skip "this kernel gives no written blocks"
    copied_on "$2" "$3" new
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

# Of a file, and of a new one.
both_on() { # NAME DISK DEVICE
    verdict "$1" copied_on ext4 "$3" over
    verdict "$1, a new file" new_on "$2" ext4 "$3"
}

plan 11
need_scsi $((80 << 20)) || fail "no SCSI disks"
modprobe -a ext4 dm_mod
both_on "a whole disk" "${scsi_disks[1]}" "${scsi_disks[1]}"
partition "${scsi_disks[1]}" 1 $((63 * 512)) $((64 << 20))
both_on "a partition that starts at sector 63" "${scsi_disks[1]}" "${scsi_disks[1]}1"
delpart "${scsi_disks[1]}" 1
printf '%s\n' "0 20480 linear ${scsi_disks[1]} 102400" "20480 30721 linear ${scsi_disks[1]} 2047" \
    "51201 65536 linear ${scsi_disks[1]} 32769" >"$scratch/pieces"
# No piece over another: the first one lies behind the others.
dmsetup create pieces "$scratch/pieces"
volume=/dev/$(dmsetup info --columns --noheadings -o blkdevname pieces)
wait_for test -b "$volume"
both_on "a logical volume of three pieces" "${scsi_disks[1]}" "$volume"
dmsetup remove pieces
make_lun 2 $((80 << 20)) 4096
both_on "a disk of 4 KiB sectors" "${scsi_disks[2]}" "${scsi_disks[2]}"
if disk_gives_written_blocks "${scsi_disks[1]}"; then
    make_lun 3 $((320 << 20))
    modprobe xfs
fi
# Or XFS would share the blocks.
OFFLOAD_ENGINES=array verdict "XFS on a whole disk, a new file" new_on "${scsi_disks[1]}" xfs "${scsi_disks[3]-}"
need_nvme
partition "$nvme_disk" p1 $((1 << 20)) $((64 << 20))
verdict "an NVMe namespace" copied_on ext4 "${nvme_disk}p1" over
delpart "$nvme_disk" 1
verdict "from a disk of 512 bytes' blocks to one of 4096" unlike "${scsi_disks[2]}" "${scsi_disks[0]}"
