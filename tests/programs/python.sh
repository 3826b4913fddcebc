#!/bin/bash
# Python: copyfileobj reads and writes through two alternating buffers; copyfile calls sendfile, and since 3.14 copy_file_range.
. "$(dirname "$0")/../fixture.sh"
need_root
need python3

shared_copy() {
    both python3 -c "$1"
    expect_status 0
    assert_same source ours/copy
    assert_not_shared source plain/copy
    assert_shared source ours/copy
}

shared_copy_of_a_file() {
    ! python3 -c 'import shutil; shutil._fastcopy_copy_file_range' 2>/dev/null || skip "this Python shares the blocks itself"
    shared_copy "$1"
}

reflink_filesystem() {
    make_source source
    verdict "shutil.copyfileobj on $fs becomes a clone" shared_copy '
import shutil
with open("../source", "rb") as source, open("copy", "wb") as copy:
    shutil.copyfileobj(source, copy)
    print(source.tell(), copy.tell())
'
    verdict "shutil.copyfile on $fs becomes a clone" shared_copy_of_a_file '
import shutil
print(shutil.copyfile("../source", "copy"))
'
    verdict "shutil.copy2 on $fs becomes a clone" shared_copy_of_a_file '
import shutil
shutil.copy2("../source", "copy")
'
    verdict "os.read and os.write on $fs become a clone" shared_copy '
import os
source = os.open("../source", os.O_RDONLY)
copy = os.open("copy", os.O_WRONLY | os.O_CREAT, 0o640)
while block := os.read(source, 1 << 17):
    assert os.write(copy, block) == len(block)
print(os.lseek(source, 0, os.SEEK_CUR), os.lseek(copy, 0, os.SEEK_CUR), os.fstat(copy).st_size)
'
    verdict "one buffer that is read into again on $fs becomes a clone" shared_copy '
buffer = memoryview(bytearray(1 << 16))
with open("../source", "rb", 0) as source, open("copy", "wb", 0) as copy:
    while n := source.readinto(buffer):
        copy.write(buffer[:n])
'
}

plan 10
on_each "xfs btrfs" 5 reflink_filesystem
