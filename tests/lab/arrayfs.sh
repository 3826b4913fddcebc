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

# What went over the bus so far, in bytes, as the target counts it: in whole MiB, up or down, for each disk and direction.
# The kernel's own count (/proc/diskstats) has blocks in it that it had the disk fill with zeros.
bytes_moved() {
    cat "$target"/core/fileio_0/lab*/statistics/scsi_lu/{read,write}_mbytes |
        awk '{ n += $1 } END { printf "%.0f\n", n * 1048576 }'
}

# The same, exactly, as the kernel counts it for all disks that copy; and what of it was written.
sectors_moved() {
    awk '$3 ~ /^(sd[a-z]*|nvme[0-9]*n[0-9]*)$/ { n += $6 + $10 } END { printf "%.0f\n", n * 512 }' /proc/diskstats
}

sectors_written() {
    awk '$3 ~ /^(sd[a-z]*|nvme[0-9]*n[0-9]*)$/ { n += $10 } END { printf "%.0f\n", n * 512 }' /proc/diskstats
}

# A partition that no table has. NUMBER has a `p` before it where the disk's name ends with a digit.
partition() { # DISK NUMBER START BYTES
    addpart "$1" "${2#p}" $(($3 / 512)) $(($4 / 512))
    wait_for test -b "$1$2"
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
