# shellcheck shell=bash
# Sourced by the tests of copies by the array: file systems on the SCSI disks of tests/lab/guest.sh, and what is asked of
# them.
# shellcheck source-path=SCRIPTDIR source=guest.sh
. "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

# Where FS of disk NUMBER is mounted: place[FS-NUMBER].
declare -A place=()

# Makes FS on both disks and mounts it.
make_fs() { # FS
    local number
    modprobe "$1"
    for number in 0 1; do
        case $1 in
        xfs) mkfs.xfs -q -f "${scsi_disks[number]}" ;;
        ext4) mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "${scsi_disks[number]}" ;;
        esac >/dev/null || fail "mkfs.$1"
        place[$1-$number]=$scratch/$1-$number
        mkdir -p "${place[$1-$number]}"
        mount "${scsi_disks[number]}" "${place[$1-$number]}" || fail "mount $1"
        mounts+=("${place[$1-$number]}")
    done
}

leave_fs() { # FS
    umount "${place[$1-0]}" "${place[$1-1]}"
    mounts=()
}

# Unmounts both, has them checked, and mounts them again.
check_fs() { # FS
    local number
    for number in 0 1; do
        umount "${place[$1-$number]}"
        case $1 in
        xfs) xfs_repair -n "${scsi_disks[number]}" >"$scratch/fsck" 2>&1 ;;
        ext4) e2fsck -fn "${scsi_disks[number]}" >"$scratch/fsck" 2>&1 ;;
        esac || fail "the file system of disk $number is damaged: $(tail -n 20 "$scratch/fsck")"
        mount "${scsi_disks[number]}" "${place[$1-$number]}"
    done
}

# What went over the bus so far, in bytes, as the kernel counts it for all disks that copy; and what of it was written. What it has
# had a disk fill with zeros is counted too: see noted().
sectors_moved() {
    awk '$3 ~ /^(sd[a-z]*|nvme[0-9]*n[0-9]*)$/ { n += $6 + $10 } END { printf "%.0f\n", n * 512 }' /proc/diskstats
}

sectors_written() {
    awk '$3 ~ /^(sd[a-z]*|nvme[0-9]*n[0-9]*)$/ { n += $10 } END { printf "%.0f\n", n * 512 }' /proc/diskstats
}

# ---- what the kernel asks of SCSI disks ----

tracing=/sys/kernel/tracing

# From now until noted() the kernel notes each command that it gives to a SCSI disk, whoever wants it, and each that it gives
# up because its time is over.
note_commands() {
    mountpoint -q $tracing || mount -t tracefs tracefs $tracing
    echo 1 >$tracing/events/scsi/scsi_dispatch_cmd_start/enable
    echo 1 >$tracing/events/scsi/scsi_dispatch_cmd_timeout/enable
    : >$tracing/trace
}

one_is_given_up() {
    grep -q scsi_dispatch_cmd_timeout: $tracing/trace
}

# What was noted: "BYTES read or written, BYTES that WRITE SAME had the disks fill, HOW MANY commands to copy", of which those
# by which the engine tries whether two disks can copy are some. A command's length is in the disk's own blocks.
noted() {
    local disk sizes=
    echo 0 >$tracing/events/scsi/enable
    for disk in "${scsi_disks[@]}"; do
        sizes+=" $(blockdev --getss "$disk")"
    done
    grep -q '^overrun: 0$' $tracing/per_cpu/cpu0/stats || fail "the kernel has forgotten commands"
    awk -v sizes="$sizes" '
        BEGIN { split(sizes, size, " ") }
        !/scsi_dispatch_cmd_start:/ { next }
        { match($0, / lun=[0-9]+/); lun = substr($0, RSTART + 5, RLENGTH - 5) }
        { n = match($0, /txlen=[0-9]+/) ? substr($0, RSTART + 6, RLENGTH - 6) * size[lun + 1] : 0 }
        /cmnd=\((READ|WRITE)_(6|10|12|16|32) / { moved += n }
        /cmnd=\(WRITE_SAME/ { filled += n }
        / raw=83 / { copies++ }
        END { printf "%.0f %.0f %d\n", moved, filled, copies }' $tracing/trace
}

# Fills what is free in a file system with text that is no file's afterwards. Prints where it lies.
leave_secrets() { # FOLDER
    yes 'a secret of a file that is gone' | dd of="$1/secret" bs=1M iflag=fullblock status=none 2>/dev/null || true
    sync
    places_of "$1/secret"
    rm "$1/secret"
    sync
}

# The extents of a file: the first block and the last one of each, in blocks of the file system.
places_of() { # FILE
    filefrag -v "$1" | sed -n 's/^ *[0-9]*: *[0-9]*\.\. *[0-9]*: *\([0-9]*\)\.\. *\([0-9]*\):.*/\1 \2/p'
}

# A partition that no table has. NUMBER has a `p` before it where the disk's name ends with a digit.
partition() { # DISK NUMBER START BYTES
    addpart "$1" "${2#p}" $(($3 / 512)) $(($4 / 512))
    wait_for test -b "$1$2"
}

# Whether the kernel can ask the disk for blocks that are zero and written, before there is a file system that does.
disk_gives_written_blocks() { # DISK
    local most
    most=$(cat "/sys/block/${1##*/}/queue/write_zeroes_unmap_max_hw_bytes" 2>/dev/null) && [ "$most" != 0 ]
}

# Whether the kernel, file system and disk give a new file blocks that are written (FALLOC_FL_WRITE_ZEROES).
gives_written_blocks() { # FOLDER
    python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open(sys.argv[1] + "/try", os.O_RDWR | os.O_CREAT)
failed = libc.fallocate(fd, 0x80, ctypes.c_long(0), ctypes.c_long(4096))
os.unlink(sys.argv[1] + "/try")
sys.exit(failed != 0)' "$1"
}

copyfileobj='
import shutil, sys
with open(sys.argv[1], "rb") as source, open(sys.argv[2], sys.argv[3]) as copy:
    shutil.copyfileobj(source, copy)'

# -over: over what is there.
copy_by() { # HOW PROGRAM SOURCE TARGET
    case $2 in
    dd) "$1" dd if="$3" of="$4" bs=1M status=none ;;
    dd-over) "$1" dd if="$3" of="$4" bs=1M conv=notrunc status=none ;;
    python) "$1" python3 -c "$copyfileobj" "$3" "$4" wb ;;
    python-over) "$1" python3 -c "$copyfileobj" "$3" "$4" r+b ;;
    cp) "$1" cp "$3" "$4" ;;
    sendfile) "$1" busybox cp "$3" "$4" ;;
    cfr-over)
        "$1" python3 -c '
import os, sys
source, copy = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_WRONLY)
left = os.fstat(source).st_size
while left:
    left -= os.copy_file_range(source, copy, left)' "$3" "$4" ;;
    esac
}
