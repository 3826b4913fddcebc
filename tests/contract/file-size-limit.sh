#!/bin/bash
# RLIMIT_FSIZE: the signal, or the short write and EFBIG, at the same byte as without the library.
. "$(dirname "$0")/../fixture.sh"
need_root

# In units of 512 bytes, so that the limit lies within a block too.
killed() {
    both sh -c "ulimit -c 0; ulimit -f $1; shift; exec \"\$@\"" limit - \
        dd if=../source of=copy bs="$2" status=noxfer
    expect_status 153
}

told() {
    both sh -c "trap '' XFSZ; ulimit -f $1; shift; exec \"\$@\"" limit - \
        dd if=../source of=copy bs="$2" status=noxfer
    expect_status 1
}

told_cp() {
    both sh -c "trap '' XFSZ; ulimit -f $1; exec cp --reflink=never ../source copy"
    expect_status 1
}

lowered() {
    command -v python3 >/dev/null || skip "python3 is not installed"
    both python3 -c '
import os, resource
source = os.open("../source", os.O_RDONLY)
copy = os.open("copy", os.O_WRONLY | os.O_CREAT)
for turn in range(60):
    if turn == 20:
        resource.setrlimit(resource.RLIMIT_FSIZE, (24 * 65536 + 777, resource.RLIM_INFINITY))
    block = os.read(source, 65536)
    try:
        print(turn, os.write(copy, block))
    except OSError as error:
        print(turn, error)
    print(os.lseek(copy, 0, os.SEEK_CUR), os.fstat(copy).st_size)
'
    expect_status 0
}

reflink_filesystem() {
    make_source source
    verdict "SIGXFSZ at a whole block, on $fs" killed 4096 128k
    verdict "SIGXFSZ within a block, on $fs" killed 4099 64k
    verdict "EFBIG at a whole block, on $fs" told 4096 128k
    verdict "EFBIG within a block, on $fs" told 4099 64k
    verdict "EFBIG told to cp, on $fs" told_cp 4099
    verdict "a limit lowered in mid-copy, on $fs" lowered
}

plan 12
on_each "xfs btrfs" 6 reflink_filesystem
