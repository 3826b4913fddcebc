#!/bin/bash
# Programs that work on disks as files, here loop devices, which no engine knows: with the library they leave the same
# bytes, say the same and end the same.
. "$(dirname "$0")/../fixture.sh"
need_root
PATH=$PATH:/usr/sbin:/sbin
need losetup mkfs.ext4 busybox

disks=()
detach() {
    [ ${#disks[@]} -eq 0 ] || losetup -d "${disks[@]}"
}
at_end+=(detach)

# 16 MiB less a sector: an end within a block of the page cache.
make_disk() { # FILE
    truncate -s $(((16 << 20) - 512)) "$scratch/$1"
    disks+=("$(losetup -f --show "$scratch/$1")") || skip_all "there are no loop devices"
}

# Plain and preloaded, from and onto the same disks.
alike() { # COMMAND...
    local way status
    for way in plain preloaded; do
        status=0
        cp "$scratch/first" "$scratch/from"
        cp "$scratch/second" "$scratch/to"
        sync
        blockdev --flushbufs "${disks[@]}"
        run_$way "$@" </dev/null >"$scratch/$way.said" 2>&1 || status=$?
        sync
        {
            echo "status $status"
            sed -i 's/copied, .*/copied/' "$scratch/$way.said"
            cat "$scratch/$way.said"
            sha256sum <"$scratch/from"
            sha256sum <"$scratch/to"
        } >"$scratch/$way"
    done
    diff -u "$scratch/plain" "$scratch/preloaded"
    ! cmp -s "$scratch/second" "$scratch/to" || fail "nothing was copied: the test itself is wrong"
}

refused_for() { # CAUSE
    run_preloaded env OFFLOAD_REPORT="$scratch/report" dd if="$from" of="$to" bs=64k conv=notrunc status=none
    grep -q "\"cause\": \"$1\"" "$scratch/report" || fail "$(cat "$scratch/report")"
}

# It says why in one line, and leaves both as they are.
not_tried() { # SOURCE DESTINATION
    local before status=0
    before=$(sha256sum "$scratch/from" "$scratch/to")
    "$build/offload" probe "$1" "$2" >"$scratch/said" 2>&1 || status=$?
    [ $status -eq 125 ] || fail "status $status: $(cat "$scratch/said")"
    [ "$(wc -l <"$scratch/said")" -eq 1 ] || fail "not one line: $(cat "$scratch/said")"
    grep -q 'is a disk' "$scratch/said" || fail "$(cat "$scratch/said")"
    sync
    [ "$before" = "$(sha256sum "$scratch/from" "$scratch/to")" ] || fail "the disks have changed"
}

# The commands of other shells are for them to expand.
# shellcheck disable=SC2016
all_cases() {
    verdict "dd" alike dd if="$from" of="$to" bs=64k
    verdict "dd past the page cache" alike dd if="$from" of="$to" bs=64k count=100 iflag=direct oflag=direct
    verdict "dd of small blocks" alike dd if="$from" of="$to" count=20000
    verdict "dd beyond the end" alike dd if="$from" of="$to" bs=1M seek=10
    verdict "cp" alike cp --reflink=never "$from" "$to"
    verdict "sendfile" alike busybox cp "$from" "$to"
    verdict "cat to what a shell opened" alike sh -c 'cat "$1" >"$2"' - "$from" "$to"
    verdict "dd from a file" alike dd if="$scratch/first" of="$to" bs=64k
    verdict "dd to a file" alike sh -c 'dd if="$1" of="$3/copy" bs=64k && sha256sum <"$3/copy" && dd if="$3/copy" of="$2" bs=1M' \
        - "$from" "$to" "$scratch"
    verdict "a file system made, and copied" alike sh -c 'E2FSPROGS_FAKE_TIME=1000000000 mkfs.ext4 -q -F -U clear \
        -E hash_seed=00000000-0000-0000-0000-000000000001 "$1" 8M &&
        dd if="$1" of="$2" bs=64k && e2fsck -fn "$2" >/dev/null 2>&1' - "$from" "$to"
    verdict "Python, over a mapping" alike python3 -c '
import mmap, os, sys
source, copy = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_RDWR)
for at in range(0, 4 << 20, 1 << 18):
    os.pwrite(copy, os.pread(source, 1 << 18, at), at)
there = mmap.mmap(copy, 4 << 20)
there[4096:8192] = b"x" * 4096
os.write(copy, os.read(source, 1 << 18))
print(os.pread(copy, 5, 4094), os.lseek(copy, 0, os.SEEK_CUR))' "$from" "$to"
    verdict "why no engine does it is told" refused_for not_a_disk
    verdict "probe does not try a source that is a disk" not_tried "$from" "$scratch/copy"
    verdict "probe does not try a destination that is a disk" not_tried "$scratch/first" "$to"
}

plan 14
make_source "$scratch/first" $(((16 << 20) - 512))
tr '[:lower:]' '[:upper:]' <"$scratch/first" >"$scratch/second"
make_disk from
make_disk to
from=${disks[0]} to=${disks[1]}
cp "$scratch/first" "$scratch/from"
all_cases
