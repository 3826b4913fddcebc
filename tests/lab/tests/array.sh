#!/bin/bash
# Files on mounted file systems whose bytes the array copies: they are right on the disk, nothing else on it changes, and
# this machine moves next to nothing.
. "$(dirname "$0")/../guest.sh"

size=$((64 << 20))

# What this machine has read from and written to the disks so far, in bytes.
bytes_moved() {
    awk '$3 ~ /^sd[a-z]*$/ { n += $6 + $10 } END { printf "%.0f\n", n * 512 }' /proc/diskstats
}

declare -A place=()

# Makes FS on both disks.
make_fs() { # FS
    local number
    modprobe "$1"
    for number in 0 1; do
        case $1 in
        xfs) mkfs.xfs -q -f "${scsi_disks[number]}" ;;
        ext4) mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "${scsi_disks[number]}" ;;
        esac >/dev/null || fail "mkfs.$1"
        mkdir -p "$scratch/$1-$number"
        mount "${scsi_disks[number]}" "$scratch/$1-$number" || fail "mount $1"
        mounts+=("$scratch/$1-$number")
        place[$1-$number]=$scratch/$1-$number
    done
}

check_fs() { # FS NUMBER: unmounted
    case $1 in
    xfs) xfs_repair -n "${scsi_disks[$2]}" >"$scratch/fsck" 2>&1 ;;
    ext4) e2fsck -fn "${scsi_disks[$2]}" >"$scratch/fsck" 2>&1 ;;
    esac || fail "the file system of disk $2 is damaged: $(tail -n 20 "$scratch/fsck")"
}

copyfileobj='
import shutil, sys
with open(sys.argv[1], "rb") as source, open(sys.argv[2], sys.argv[3]) as copy:
    shutil.copyfileobj(source, copy)'

copy_by() { # HOW PROGRAM SOURCE TARGET
    case $2 in
    dd) "$1" dd if="$3" of="$4" bs=1M status=none ;;
    dd-over) "$1" dd if="$3" of="$4" bs=1M conv=notrunc status=none ;;
    python) "$1" python3 -c "$copyfileobj" "$3" "$4" wb ;;
    python-over) "$1" python3 -c "$copyfileobj" "$3" "$4" r+b ;;
    cp) "$1" cp "$3" "$4" ;;
    sendfile) "$1" busybox cp "$3" "$4" ;;
    esac
}

# The source's bytes are in the page cache, or the program's own reads would count.
offloaded() { # PROGRAM SOURCE TARGET
    local before after
    sync
    cat "$2" >/dev/null
    sleep 0.05
    before=$(bytes_moved)
    copy_by run_reported "$1" "$2" "$3"
    sync "$3"
    after=$(bytes_moved)
    echo "$1: $((after - before)) bytes moved for $size"
    assert_reported engine array
    assert_reported offloaded $size
    [ $((after - before)) -lt $((size / 50)) ] || fail "$((after - before)) bytes moved: $(cat "$report")"
    assert_same "$2" "$3"
    drop_caches
    assert_same "$2" "$3"
}

new_file() { # FS PROGRAM FROM TO
    rm -f "${place[$1-$4]}/target"
    offloaded "$2" "${place[$1-$3]}/source" "${place[$1-$4]}/target"
}

refused() { # FS PROGRAM REASON
    rm -f "${place[$1-1]}/target"
    copy_by run_reported "$2" "${place[$1-0]}/source" "${place[$1-1]}/target"
    assert_reported offloaded 0
    assert_reported cause "$3"
    assert_same "${place[$1-0]}/source" "${place[$1-1]}/target"
}

remounted() { # FS
    local number
    for number in 0 1; do
        umount "${place[$1-$number]}"
        check_fs "$1" $number
        mount "${scsi_disks[number]}" "${place[$1-$number]}"
    done
    assert_same "${place[$1-0]}/source" "${place[$1-1]}/target"
}

gives_written_blocks() { # FOLDER
    python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open(sys.argv[1] + "/try", os.O_RDWR | os.O_CREAT)
failed = libc.fallocate(fd, 0x80, ctypes.c_long(0), ctypes.c_long(4096))
os.unlink(sys.argv[1] + "/try")
sys.exit(failed != 0)' "$1"
}

file_systems="ext4 xfs"
plan 10
need_scsi $((400 << 20)) || fail "no SCSI disks"
for fs in $file_systems; do
    make_fs "$fs"
    make_source "${place[$fs-0]}/source" $size
    if gives_written_blocks "${place[$fs-1]}"; then
        for program in dd python sendfile; do
            verdict "a new file by $program, $fs" new_file "$fs" $program 0 1
        done
        verdict "within one disk, $fs" new_file "$fs" dd 0 0
    else
        for program in dd python sendfile; do
            verdict "a new file by $program is told to need a kernel that writes zeros, $fs" refused "$fs" $program unwritten
        done
        verdict "within one disk, $fs" skip "this kernel gives no written blocks"
    fi
    verdict "after a check of the file systems and a new mount, $fs" remounted "$fs"
    umount "${place[$fs-0]}" "${place[$fs-1]}"
done
