#!/bin/bash
# Disks that a program copies as files (dd if=/dev/sda of=/dev/sdb), whole, in part, to files and from them: the disks do it,
# every byte is right, in memory and on the disk, and what they are in use for is left alone.
# limit: 900
# shellcheck source-path=SCRIPTDIR/.. source=arrayfs.sh
. "$(dirname "$0")/../arrayfs.sh"

size=$((12 << 20))

# ---- disks and witnesses -------------------------------------------------------------------------------

# Text of which each sector names its place and its disk.
fill() { # DISK TEXT
    perl -e 'for (my $n = 0; $n * 512 < $ARGV[0]; $n++) {
        print pack("A511x", sprintf("sector %012d of $ARGV[1]\n", $n) x 14);
    }' "$(blockdev --getsize64 "$1")" "$2" >"$scratch/filling"
    dd if="$scratch/filling" of="$1" bs=1M conv=notrunc,fsync status=none
}

# What is cached of a disk is dropped when nobody has it open.
keep_open() { # DISK...
    local disk fd
    for disk in "$@"; do
        [ -b "$disk" ] || continue
        exec {fd}<"$disk"
        kept+=("$fd")
    done
}

close_all() {
    local fd
    for fd in "${kept[@]}"; do
        exec {fd}<&-
    done
    kept=()
}
kept=()

# Runs COMMAND, which copies `size` bytes of FROM at `skip` to `seek` in TO; these and nothing else are then copied. Both are in
# memory before. MOST: the bytes that this machine may move, as COUNTER says.
copied() { # COUNTER MOST FROM TO COMMAND...
    local before counter=$1 most=$2 from=$3 to=$4
    shift 4
    keep_open "$from" "$to"
    cat "$to" >"$scratch/expected"
    dd if="$from" of="$scratch/expected" bs=4k skip=$((skip / 4096)) seek=$((seek / 4096)) count=$((size / 4096)) \
        conv=notrunc status=none
    sync
    before=$($counter)
    run_reported "$@"
    sync
    echo "$(($($counter) - before)) bytes, $counter"
    [ $(($($counter) - before)) -le "$most" ] || fail "$(($($counter) - before)) bytes, $counter: $(cat "$report")"
    # What is in memory, and then what the disk has.
    cmp "$scratch/expected" "$to"
    close_all
    drop_caches
    cmp "$scratch/expected" "$to"
}

offloaded() { # FROM TO COMMAND...
    copied sectors_moved $((size / 50)) "$@"
    assert_reported engine array
    assert_reported offloaded $size
}

# Whatever moves: all is right, and the library says why it did nothing.
left() { # REASON FROM TO COMMAND...
    local reason=$1
    shift
    copied sectors_moved $((4 * size)) "$@"
    assert_reported offloaded 0
    assert_reported cause "$reason"
}

dd_part() { # FROM TO [OPTIONS]
    echo dd "if=$1" "of=$2" bs=1M skip=$((skip >> 20)) seek=$((seek >> 20)) count=$((size >> 20)) conv=notrunc \
        status=none "${@:3}"
}

pieces='
import os, sys
source, copy = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_WRONLY)
skip, seek, size, piece = map(int, sys.argv[3:])
order = list(range(0, size, piece))
for at in order[1::2] + order[::2]:
    block = os.pread(source, piece, skip + at)
    assert os.pwrite(copy, block, seek + at) == piece'

# ---- cases -----------------------------------------------------------------------------------------------

on_pair() { # NAME FROM TO
    local name=$1 from=$2 to=$3
    # shellcheck disable=SC2046 # words
    verdict "dd, $name" offloaded "$from" "$to" $(dd_part "$from" "$to")
    verdict "pieces in any order, $name" offloaded "$from" "$to" python3 -c "$pieces" "$from" "$to" $skip $seek $size 262144
    # shellcheck disable=SC2046
    verdict "past the page cache, $name" copied sectors_written $((size / 50)) "$from" "$to" \
        $(dd_part "$from" "$to" iflag=direct oflag=direct)
}

# Dirty pages of both sides, which no disk has yet.
dirty() {
    fill "${scsi_disks[1]}" "disk 1, again"
    keep_open "${scsi_disks[@]}"
    tr '[:lower:]' '[:upper:]' <"$scratch/filling" | head -c $size | dd of="${scsi_disks[0]}" bs=64k conv=notrunc \
        oflag=seek_bytes seek=$skip status=none
    head -c $size /dev/urandom | dd of="${scsi_disks[1]}" bs=64k conv=notrunc oflag=seek_bytes seek=$seek status=none
    # shellcheck disable=SC2046
    run_reported $(dd_part "${scsi_disks[0]}" "${scsi_disks[1]}")
    assert_reported engine array
    head -c $size "$scratch/filling" | tr '[:lower:]' '[:upper:]' | cmp -i "0:$seek" -n $size - "${scsi_disks[1]}"
    close_all
    drop_caches
    head -c $size "$scratch/filling" | tr '[:lower:]' '[:upper:]' | cmp -i "0:$seek" -n $size - "${scsi_disks[1]}"
}

# That a disk may not be written to is this machine's rule, which the disk does not know.
read_only() {
    local way
    for way in plain reported; do
        run_$way python3 -c '
import os, subprocess, sys
source, copy = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_WRONLY)
print(os.pwrite(copy, os.pread(source, 1 << 20, 0), 0))
subprocess.run(["blockdev", "--setro", sys.argv[2]])
try:
    print(os.pwrite(copy, os.pread(source, 1 << 20, 1 << 20), 1 << 20))
except OSError as error:
    print(error)' "${scsi_disks[0]}" "${scsi_disks[1]}" >"$scratch/$way.said"
        blockdev --setrw "${scsi_disks[1]}"
    done
    cmp "$scratch/plain.said" "$scratch/reported.said"
    assert_reported offloaded $((1 << 20))
    grep -q 'not permitted' "$scratch/plain.said" || fail "$(cat "$scratch/plain.said")"
}

# The kernel copies ranges between files alone: the program is told so, and goes on by writing.
ranges() {
    local way
    for way in plain reported; do
        run_$way python3 -c '
import os, sys
source, copy = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_WRONLY)
try:
    print(os.copy_file_range(source, copy, 1 << 20))
except OSError as error:
    print(error)
print(os.write(copy, os.read(source, 1 << 20)))' "${scsi_disks[0]}" "${scsi_disks[1]}" >"$scratch/$way.said"
    done
    cmp "$scratch/plain.said" "$scratch/reported.said"
    assert_reported offloaded $((1 << 20))
    grep -q 'Invalid argument' "$scratch/plain.said" || fail "$(cat "$scratch/plain.said")"
}

# One in three blocks has a byte that the disk has not.
changed_byte() {
    run_reported "$paced" -c 3 -k "${scsi_disks[0]}" "${scsi_disks[1]}" "$scratch/written" 131072 >/dev/null
    ! cmp -s "$scratch/written" "${scsi_disks[0]}" || fail "no byte was changed"
    drop_caches
    cmp "$scratch/written" "${scsi_disks[1]}"
}

# A larger disk does not fit on a smaller one: as many bytes and the same error as without the library.
too_large() {
    local way status
    for way in plain preloaded; do
        fill "$small" small
        status=0
        run_$way dd if="${scsi_disks[0]}" of="$small" bs=1M conv=notrunc 2>"$scratch/$way.said" || status=$?
        echo "$status" >>"$scratch/$way.said"
        sed -i 's/copied, .*/copied/' "$scratch/$way.said"
        drop_caches
        sha256sum <"$small" >>"$scratch/$way.said"
    done
    cmp "$scratch/plain.said" "$scratch/preloaded.said"
    cmp -n "$(blockdev --getsize64 "$small")" "$small" "${scsi_disks[0]}"
}

# A disk that is mounted is not copied to or from by the disks, but the program may.
mounted() { # WHICH
    local at=$scratch/mounted
    mkfs.ext4 -q -F "${scsi_disks[$1]}" 4M
    mkdir -p "$at"
    mount -o ro "${scsi_disks[$1]}" "$at"
    mounts+=("$at")
    # shellcheck disable=SC2046
    left claimed "${scsi_disks[0]}" "${scsi_disks[1]}" $(dd_part "${scsi_disks[0]}" "${scsi_disks[1]}")
    umount "$at"
    mounts=()
}

# fcntl(2) locks are lost by any close of the node; flock(2) are not.
locked() {
    run_reported python3 -c "
import fcntl, subprocess, sys
$pieces
fcntl.$1(copy, fcntl.LOCK_EX)
os.pwrite(copy, os.pread(source, 1 << 20, 0), 0)
peer = 'import fcntl, sys; fcntl.$1(open(sys.argv[1], \"r+b\"), fcntl.LOCK_EX | fcntl.LOCK_NB)'
sys.exit(subprocess.run(['python3', '-c', peer, sys.argv[2]], stderr=subprocess.DEVNULL).returncode == 0)" \
        "${scsi_disks[0]}" "${scsi_disks[1]}" $skip $seek $size 262144 || fail "the lock is gone"
    cmp -n $((1 << 20)) "${scsi_disks[0]}" "${scsi_disks[1]}"
}

from_file() { # FS
    make_fs "$1"
    make_source "${place[$1-0]}/source" $size
    umount "${place[$1-1]}"
    fill "${scsi_disks[1]}" "disk 1"
    local skip=0
    # shellcheck disable=SC2046
    offloaded "${place[$1-0]}/source" "${scsi_disks[1]}" $(dd_part "${place[$1-0]}/source" "${scsi_disks[1]}")
    umount "${place[$1-0]}"
    mounts=()
}

to_file() { # FS
    make_fs "$1"
    umount "${place[$1-0]}"
    fill "${scsi_disks[0]}" "disk 0"
    make_source "${place[$1-1]}/target" $((seek + size + (1 << 20)))
    # shellcheck disable=SC2046
    offloaded "${scsi_disks[0]}" "${place[$1-1]}/target" $(dd_part "${scsi_disks[0]}" "${place[$1-1]}/target")
    check_fs_of 1 "$1"
    umount "${place[$1-1]}"
    mounts=()
}

# From another file: the same bytes lie at the same place when the file system is checked and mounted anew.
check_fs_of() { # NUMBER FS
    umount "${place[$2-$1]}"
    e2fsck -fn "${scsi_disks[$1]}" >"$scratch/fsck" 2>&1 || fail "$(cat "$scratch/fsck")"
    mount "${scsi_disks[$1]}" "${place[$2-$1]}"
    cmp "$scratch/expected" "${place[$2-$1]}/target"
}

plan 27
need_scsi $((40 << 20)) || fail "no SCSI disks"
skip=$((2 << 20)) seek=$((7 << 20))
fill "${scsi_disks[0]}" "disk 0"
fill "${scsi_disks[1]}" "disk 1"
on_pair "from disk to disk" "${scsi_disks[0]}" "${scsi_disks[1]}"
# shellcheck disable=SC2046
verdict "blocks of 4 KiB are the program's" left raw "${scsi_disks[0]}" "${scsi_disks[1]}" \
    $(dd_part "${scsi_disks[0]}" "${scsi_disks[1]}" | sed "s/bs=1M.*conv/bs=4k skip=$((skip / 4096)) seek=$((seek / 4096)) count=$((size / 4096)) conv/")
verdict "what is not written yet, of either" dirty
verdict "a byte that the program changes" changed_byte
verdict "a source that is mounted" mounted 0
verdict "a destination that is mounted" mounted 1
verdict "a disk that may not be written to" read_only
verdict "copy_file_range between disks" ranges
verdict "a lock of fcntl stays" locked lockf
verdict "a lock of flock stays" locked flock
verdict "from a file, ext4" from_file ext4
verdict "to a file, ext4" to_file ext4
fill "${scsi_disks[0]}" "disk 0"
# Starts that are no multiples of 4 KiB.
partition "${scsi_disks[0]}" 1 $((63 * 512)) $((26 << 20))
partition "${scsi_disks[1]}" 1 $((2049 * 512)) $((24 << 20))
on_pair "between partitions" "${scsi_disks[0]}1" "${scsi_disks[1]}1"
delpart "${scsi_disks[0]}" 1
delpart "${scsi_disks[1]}" 1
modprobe dm_mod
printf '0 16384 linear %s 40960\n16384 32768 linear %s 4096\n' "${scsi_disks[1]}" "${scsi_disks[1]}" | dmsetup create small
small=/dev/$(dmsetup info --columns --noheadings -o blkdevname small)
wait_for test -b "$small"
verdict "a disk that is larger than the other" too_large
on_pair "to a logical volume" "${scsi_disks[0]}" "$small"
dmsetup remove small
make_lun 2 $((32 << 20)) 4096
make_lun 3 $((32 << 20)) 4096
fill "${scsi_disks[2]}" "disk 2"
fill "${scsi_disks[3]}" "disk 3"
on_pair "of 4 KiB sectors" "${scsi_disks[2]}" "${scsi_disks[3]}"
need_nvme
partition "$nvme_disk" p1 $((1 << 20)) $((26 << 20))
partition "$nvme_disk" p2 $((99 << 20)) $((24 << 20))
fill "${nvme_disk}p1" "part 1"
fill "${nvme_disk}p2" "part 2"
on_pair "in an NVMe namespace" "${nvme_disk}p1" "${nvme_disk}p2"
delpart "$nvme_disk" 1
delpart "$nvme_disk" 2
