#!/bin/bash
# A power cut: what a program has made safe is on the disk as the program left it, no byte less, and none more either.
. "$(dirname "$0")/../fixture.sh"
need_root
need python3 chattr

# Half of a file is copied, and made safe.
program='
import ctypes, os, sys
way, flags = sys.argv[1], os.O_WRONLY | os.O_CREAT
if way.startswith("O_"):
    flags |= getattr(os, way)
source, copy = os.open("source", os.O_RDONLY), os.open("copy", flags)
for turn in range(30):
    os.write(copy, os.read(source, 65536))
if way in ("fsync", "fdatasync"):
    getattr(os, way)(copy)
elif way in ("sync", "syncfs"):
    getattr(ctypes.CDLL(None), way)(copy)
'

# The file system is mounted again from what its disk has been given by now.
cut() { # RESULT
    cp --sparse=always "$scratch/$fs.image" "$scratch/cut.image"
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
    copy_and_cut plain "$1"
    copy_and_cut preloaded "$1"
    cat "$scratch/plain.after"
    grep -q '^1966080 ' "$scratch/plain.after" || fail "the test itself is wrong: the plain copy was not safe"
    diff -u "$scratch/plain.after" "$scratch/preloaded.after" || fail "the library changed what is on the disk"
}

ways="fsync fdatasync syncfs sync O_SYNC O_DSYNC attribute mount"
plan 16
for fs in xfs btrfs; do
    for way in $ways; do
        verdict "made safe by $way, and a power cut, on $fs" safe "$way"
    done
done
