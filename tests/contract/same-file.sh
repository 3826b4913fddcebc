#!/bin/bash
# One file on both sides, whole or in part, by one name or by two.
. "$(dirname "$0")/../fixture.sh"
need_root
need python3

own_file() {
    cp ../source file
    ln file link
    ln -s file name
}

as_plain() {
    prepare=own_file
    both "$@"
}

# Moves a part of the file by a distance, reading what it has written where the parts overlap.
within='
import os, sys
distance, block = int(sys.argv[1]), int(sys.argv[2])
source = os.open("file", os.O_RDONLY)
copy = os.open(sys.argv[3], os.O_WRONLY)
at = max(0, -distance)
os.lseek(source, at, os.SEEK_SET)
os.lseek(copy, at + distance, os.SEEK_SET)
for turn in range(40):
    print(os.write(copy, os.read(source, block)), os.fstat(copy).st_size)
'

reflink_filesystem() {
    make_source source
    verdict "dd of a file onto itself, on $fs" as_plain dd if=file of=file bs=64k conv=notrunc status=noxfer
    verdict "dd of a file onto itself, truncated, on $fs" as_plain dd if=file of=file bs=64k status=noxfer
    verdict "dd of a file onto its hard link, on $fs" as_plain dd if=file of=link bs=64k conv=notrunc status=noxfer
    verdict "dd of a file onto its symbolic link, on $fs" as_plain dd if=file of=name bs=64k conv=notrunc status=noxfer
    verdict "dd within a file, on $fs" as_plain dd if=file of=file bs=64k skip=4 seek=64 count=32 conv=notrunc status=noxfer
    verdict "dd of a file to its own end, on $fs" as_plain dd if=file of=file bs=64k count=200 oflag=append conv=notrunc status=noxfer
    verdict "cat of a file to its own end, on $fs" as_plain sh -c 'cat file >>file'
    verdict "cp of a file onto itself, on $fs" as_plain cp file link
    verdict "a file moved up within itself, on $fs" as_plain python3 -c "$within" 1048576 65536 file
    verdict "a file moved up by a block, on $fs" as_plain python3 -c "$within" 4096 65536 link
    verdict "a file moved down within itself, on $fs" as_plain python3 -c "$within" -1048576 65536 file
    verdict "a file moved down by a block, on $fs" as_plain python3 -c "$within" -4096 65536 link
}

plan 24
on_each "xfs btrfs" 12 reflink_filesystem
