#!/bin/bash
# By whatever call a program copies, from whatever memory, and into whatever part of a file: the extents are shared and
# the bytes are right.
. "$(dirname "$0")/../fixture.sh"
need_root
need perl python3

# Runs COMMAND preloaded; the copy must be the source and, but for a part of the last piece, share its extents.
shares() { # COMMAND...
    rm -f copy
    shares_onto "$@"
}

shares_onto() { # COMMAND...
    run_preloaded "$@"
    cmp source copy || fail "other bytes"
    local common size
    size=$(stat -c %s source)
    read -r common _ < <("$extents" source copy)
    [ "$common" -ge $((size - 65536)) ] || fail "$common of $size bytes are shared"
}

python() {
    shares python3 -c "
import mmap, os, sys, threading
source = os.open('source', os.O_RDONLY)
copy = os.open('copy', os.O_RDWR | os.O_CREAT, 0o600)
size = os.fstat(source).st_size
$1"
}

# shellcheck disable=SC2016 # for perl and for the shells that are started
on_filesystem() {
    make_source source
    sleep_tick
    verdict "a destination of the shell's, on $fs" shares sh -c \
        'perl -e "while (sysread(STDIN, \$x, 131072)) { syswrite(STDOUT, \$x) }" <source >copy'
    verdict "two programs one after the other into it, on $fs" shares sh -c \
        '(dd bs=64k count=40 iflag=fullblock; dd bs=64k) <source >copy 2>/dev/null'
    cp --reflink=never source copy
    verdict "over what is there, on $fs" shares_onto dd if=source of=copy bs=128k conv=notrunc status=none
    dd if=/dev/zero of=copy bs=1M count=9 status=none
    truncate -s "$(stat -c %s source)" copy
    verdict "over other bytes, on $fs" shares_onto dd if=source of=copy bs=128k conv=notrunc status=none
    verdict "pread and pwrite, on $fs" python "
for at in range(0, size, 8192):
    os.pwrite(copy, os.pread(source, 8192, at), at)"
    verdict "pieces in any order, on $fs" python "
os.ftruncate(copy, size)
parts = list(range(0, size, 131072))
for at in parts[1::2] + parts[0::2][::-1]:
    os.pwrite(copy, os.pread(source, 131072, at), at)"
    verdict "readv and writev, on $fs" python "
buffers = [bytearray(30000), bytearray(35536)]
while True:
    n = os.readv(source, buffers)
    if n < 65536:
        os.writev(copy, [b'', (bytes(buffers[0]) + bytes(buffers[1]))[:n]])
        break
    os.writev(copy, buffers)"
    verdict "from another buffer, on $fs" python "
while True:
    bytes_read = os.read(source, 10000)
    if not bytes_read:
        break
    os.write(copy, bytes(bytearray(bytes_read)))"
    verdict "from a mapping of the source, on $fs" python "
mapping = memoryview(mmap.mmap(source, 0, prot=mmap.PROT_READ))
for at in range(0, size, 100000):
    os.write(copy, mapping[at:at + 100000])"
    verdict "a reader and a writer, on $fs" python "
import queue
ring = queue.Queue(4)
def read():
    while True:
        ring.put(os.read(source, 65536))
        if not ring.queue[-1]:
            return
reader = threading.Thread(target=read)
reader.start()
while True:
    piece = ring.get()
    if not piece:
        break
    os.write(copy, piece)
reader.join()"
    verdict "two sources into one, on $fs" joined
    verdict "holes that are sought over, on $fs" sparse
    verdict "several writers through one description, on $fs" several_writers
    verdict "bytes that are changed on their way, on $fs" changed
}

# The clock that stamps files has moved on since the source was written.
sleep_tick() {
    touch tick
    until [ tick -nt source ]; do
        touch tick
    done
}

joined() {
    head -c 8388608 source >first
    cp source second
    sleep_tick
    cat first second >both
    run_preloaded python3 -c '
import os
copy = os.open("copy", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
for name in ("first", "second"):
    source = os.open(name, os.O_RDONLY)
    while True:
        piece = os.read(source, 131072)
        if not piece:
            break
        os.write(copy, piece)
    os.close(source)
'
    cmp both copy || fail "other bytes"
    read -r _ shared < <("$extents" copy)
    [ "$shared" -ge $((8388608 + 8323072 - 131072)) ] || fail "$shared bytes are shared"
    rm -f both first second
}

sparse() {
    truncate -s 32M holes
    dd if=source of=holes bs=1M count=3 seek=7 conv=notrunc status=none
    dd if=source of=holes bs=1M count=2 seek=21 conv=notrunc status=none
    sync holes
    rm -f copy
    run_preloaded cp --reflink=never --sparse=always holes copy
    cmp holes copy || fail "other bytes"
    [ "$(stat -c %s holes)" -eq "$(stat -c %s copy)" ] || fail "another size"
    read -r common _ < <("$extents" holes copy)
    [ "$common" -eq 5242880 ] || fail "$common bytes are shared of the 5242880 that are no hole"
    rm -f holes
}

# The offset is one for all of them: each write has its part, and none is lost, whoever is served.
several_writers() {
    : >copy
    for _ in 1 2 3 4 5 6 7 8; do
        run_preloaded dd if=source bs=131072 count=16 status=none &
    done >>/dev/null 1<>copy
    wait
    [ "$(stat -c %s copy)" -eq $((8 * 16 * 131072)) ] || fail "the parts make $(stat -c %s copy) bytes"
    python3 -c '
source = open("source", "rb")
wanted = sorted([source.read(131072) for turn in range(16)] * 8)
copy = open("copy", "rb")
assert sorted(copy.read(131072) for turn in range(128)) == wanted, "a piece is lost"
'
}

changed() {
    local way
    for way in 'os.pwrite(copy, piece, at)' 'os.write(copy, piece)' 'os.writev(copy, [piece[:5000], piece[5000:]])'; do
        rm -f copy
        run_preloaded python3 -c "
import os
source = os.open('source', os.O_RDONLY)
copy = os.open('copy', os.O_RDWR | os.O_CREAT, 0o600)
at = 0
while True:
    piece = bytearray(os.pread(source, 65536, at))
    if not piece:
        break
    if at == 65536 * 20:
        piece[65535] ^= 1
    $way
    at += len(piece)
"
        [ "$(cmp -l source copy | wc -l)" -eq 1 ] || fail "$way: $(cmp -l source copy | wc -l) bytes differ, not the one"
    done
}

plan 28
on_each "xfs btrfs" 14 on_filesystem
