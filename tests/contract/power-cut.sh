#!/bin/bash
# A power cut: what a program has made safe is on the disk as the program left it, no byte less, and none more either.
. "$(dirname "$0")/../fixture.sh"
need_root
need python3 chattr

# Half of a file is copied, and made safe.
program='
import ctypes, errno, os, sys
way, flags = sys.argv[1], os.O_WRONLY | os.O_CREAT
if way.startswith("O_"):
    flags |= getattr(os, way)
source, copy = os.open("source", os.O_RDONLY), os.open("copy", flags)
for turn in range(30):
    os.write(copy, os.read(source, 65536))
if way in ("fsync", "fdatasync"):
    getattr(os, way)(copy)
elif way == "aio_fsync":
    ctypes.CDLL("librt.so.1", mode=ctypes.RTLD_GLOBAL)
    request = ctypes.create_string_buffer(copy.to_bytes(4, sys.byteorder), 1024)
    libc = ctypes.CDLL(None)
    assert libc.aio_fsync(os.O_SYNC, request) == 0
    while libc.aio_error(request) == errno.EINPROGRESS:
        pass
elif way in ("sync", "syncfs"):
    getattr(ctypes.CDLL(None), way)(copy)
'

# The file system is mounted again from what its disk has been given by now. Only then is it asked what the copy shares: that may write back.
cut() { # RESULT
    cp --sparse=always "$scratch/$fs.image" "$scratch/cut.image"
    "$extents" source copy >"$1.shared"
    cd "$scratch" || return
    umount "$mount"
    mount -o loop "$scratch/cut.image" "$mount"
    { stat -c '%s bytes' "$mount/copy" && cksum <"$mount/copy"; } >"$1"
    umount "$mount"
    mounts=()
}

copy_and_cut() { # plain|preloaded WAY
    local options=noatime
    [ "$2" != mount ] || options=noatime,sync
    "mount_$fs" 320M "$options"
    cd "$mount" || return
    make_source source $((64 * 65536 + 4321))
    : >copy
    [ "$2" != attribute ] || chattr +S copy
    sync -f .
    "run_$1" python3 -c "$program" "$2"
    cut "$scratch/$1.after"
}

safe() { # WAY
    local common
    copy_and_cut plain "$1"
    copy_and_cut preloaded "$1"
    cat "$scratch/plain.after"
    read -r common _ <"$scratch/preloaded.after.shared"
    [ "$common" -gt 0 ] || fail "the test itself is wrong: nothing was offloaded"
    grep -q '^1966080 ' "$scratch/plain.after" || fail "the test itself is wrong: the plain copy was not safe"
    diff -u "$scratch/plain.after" "$scratch/preloaded.after" || fail "the library changed what is on the disk"
}

ways="fsync fdatasync aio_fsync syncfs sync O_SYNC O_DSYNC attribute mount"
plan 18
for fs in xfs btrfs; do
    for way in $ways; do
        verdict "made safe by $way, and a power cut, on $fs" safe "$way"
    done
done
