"""Copies ../source (or ../holes) to ./copy in one of the ways in which programs copy.

usage: ways.py WAY
       ways.py --list

Prints what each call returned, where it is not what was asked for, and what is left: all of it must be the same with the
library and without. Ways under "shares" end with shared blocks on a file system that can.
"""
import ctypes
import errno
import hashlib
import mmap
import os
import queue
import sys
import threading

BLOCK = 1 << 16
libc = ctypes.CDLL(None, use_errno=True)


class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def opened(name="../source"):
    return os.open(name, os.O_RDONLY), os.open("copy", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)


def show(copy):
    status = os.fstat(copy)
    print("at", os.lseek(copy, 0, os.SEEK_CUR), "of", status.st_size)
    print(hashlib.sha256(os.pread(copy, status.st_size, 0)).hexdigest())
    os.close(copy)


def moved(block):
    return bytes(bytearray(block))


def copy_blocks(source, copy, n, write):
    while block := os.read(source, n):
        write(copy, moved(block))


def shares_moved_small_blocks():
    source, copy = opened()
    copy_blocks(source, copy, 512, os.write)
    show(copy)


def shares_moved_blocks_one_read_late():
    source, copy = opened()
    before = os.read(source, 4096)
    while before:
        block = os.read(source, 4096)
        print(os.write(copy, moved(before)), end=" ")
        before = block
    show(copy)


def shares_moved_blocks_after_short_writes_of_its_own():
    source, copy = opened()
    notes = os.open("notes", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for _ in range(600):
        os.pread(source, 100, 0)
        os.write(notes, b"something else " * 50)
    os.close(notes)
    copy_blocks(source, copy, BLOCK, os.write)
    show(copy)


def shares_joined_reads():
    source, copy = opened()
    while block := b"".join(os.read(source, 8192) for _ in range(8)):
        print(os.write(copy, block), end=" ")
    show(copy)


def shares_split_reads():
    source, copy = opened()
    while block := os.read(source, 100000):
        view = memoryview(block)
        for at in range(0, len(block), 8191):
            os.write(copy, view[at:at + 8191])
    show(copy)


def shares_pieces_behind_an_empty_one():
    source, copy = opened()
    while block := os.read(source, 8191):
        print(os.writev(copy, [b"", block]), end=" ")
    show(copy)


def shares_vectors_both_ways():
    source, copy = opened()
    first, second = bytearray(30000), bytearray(BLOCK)
    while n := os.readv(source, [first, second]):
        pieces = [memoryview(first)[:n], memoryview(second)[:max(0, n - len(first))]]
        print(os.writev(copy, pieces), end=" ")
    show(copy)


def shares_vectors_at_offsets():
    source, copy = opened()
    first, second = bytearray(BLOCK), bytearray(BLOCK)
    at = 0
    while n := os.preadv(source, [first, second], at):
        pieces = [memoryview(first)[:n], memoryview(second)[:max(0, n - len(first))]]
        print(os.pwritev(copy, pieces, at), end=" ")
        at += n
    show(copy)


def shares_a_mapping():
    source, copy = opened()
    size = os.fstat(source).st_size
    view = memoryview(mmap.mmap(source, size, prot=mmap.PROT_READ))
    for at in range(0, size, 1 << 20):
        print(os.write(copy, view[at:at + (1 << 20)]), end=" ")
    show(copy)


def shares_a_mapping_at_offsets():
    source, copy = opened()
    size = os.fstat(source).st_size
    view = memoryview(mmap.mmap(source, size, prot=mmap.PROT_READ))
    for at in range(0, size, 1 << 20):
        print(os.pwrite(copy, view[at:at + (1 << 20)], at), end=" ")
    show(copy)


def shares_what_another_thread_reads():
    source, copy = opened()
    blocks = queue.Queue(4)

    def read():
        while block := os.read(source, BLOCK):
            blocks.put(moved(block))
        blocks.put(b"")

    threading.Thread(target=read).start()
    while block := blocks.get():
        print(os.write(copy, block), end=" ")
    show(copy)


def shares_around_holes():
    source, copy = opened("../holes")
    size, at = os.fstat(source).st_size, 0
    while at < size:
        block = os.read(source, BLOCK)
        if any(block):
            print(os.write(copy, block), end=" ")
        else:
            print("over", os.lseek(copy, len(block), os.SEEK_CUR), end=" ")
        at += len(block)
    os.ftruncate(copy, size)
    print("blocks", os.fstat(copy).st_blocks < size // 512 // 2)
    show(copy)


def private_mapping_that_was_changed():
    source, copy = opened()
    size = os.fstat(source).st_size
    view = mmap.mmap(source, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    view[size // 2] ^= 1
    for at in range(0, size, 1 << 20):
        print(os.pwrite(copy, memoryview(view)[at:at + (1 << 20)], at), end=" ")
    show(copy)


def seeks_over_bytes():
    source, copy = opened()
    for turn in range(20):
        block = os.read(source, BLOCK)
        if turn % 5 == 3:
            print(os.lseek(copy, len(block), os.SEEK_CUR), end=" ")
        elif turn % 7 == 5:
            print(os.lseek(copy, len(block) - 1000, os.SEEK_CUR), end=" ")
            os.lseek(source, -1000, os.SEEK_CUR)
        else:
            print(os.write(copy, block), end=" ")
    show(copy)


def seeks_over_bytes_and_writes_nothing():
    source, copy = opened()
    for _ in range(4):
        os.write(copy, os.read(source, BLOCK))
    os.lseek(copy, BLOCK, os.SEEK_CUR)
    print(libc.write(copy, ctypes.c_void_p(1), ctypes.c_size_t(BLOCK)))
    show(copy)


def pieces_at_bad_addresses():
    source, copy = opened()
    block = ctypes.create_string_buffer(BLOCK)
    for bad in (Piece(1, 100), Piece(1, 0), Piece(2**64 - 100, 4096), Piece(2**63, 0), Piece(2**64 - 1, 0)):
        for place in (0, 1):
            os.readv(source, [block])
            good = Piece(ctypes.addressof(block), BLOCK)
            list_of = (Piece * 2)(*([bad, good] if place == 0 else [good, bad]))
            ctypes.set_errno(0)
            print(libc.writev(copy, list_of, 2), ctypes.get_errno(), end=" ")
    for address in (1, 2**64 - 8):
        print(libc.writev(copy, ctypes.c_void_p(address), 2), ctypes.get_errno(), end=" ")
    print(libc.writev(copy, (Piece * 1)(), 0), libc.writev(copy, (Piece * 1)(), -1), libc.writev(copy, (Piece * 1)(), 2000))
    show(copy)


def buffers_that_wrap_around():
    source, copy = opened()
    os.write(copy, os.read(source, BLOCK))
    for address, n in ((2**64 - 100, 4096), (2**64 - 4096, 4096), (4096, 2**64 - 1), (2**47 - 4096, 8192)):
        ctypes.set_errno(0)
        print(libc.write(copy, ctypes.c_void_p(address), ctypes.c_size_t(n)), ctypes.get_errno(), end=" ")
        print(libc.pwrite(copy, ctypes.c_void_p(address), ctypes.c_size_t(n), ctypes.c_long(BLOCK)), end=" ")
    show(copy)


def offsets_that_are_none():
    source, copy = opened()
    block = os.read(source, BLOCK)
    for at in (-1, -2):
        for call in (lambda: os.pwrite(copy, block, at), lambda: os.pwritev(copy, [block], at),
                     lambda: os.pwritev(copy, [block], at, os.RWF_DSYNC)):
            try:
                print(call(), end=" ")
            except OSError as error:
                print(errno.errorcode[error.errno], end=" ")
    show(copy)


def sets_the_sources_time_and_writes_on():
    source, copy = opened()
    for _ in range(3):
        os.write(copy, os.read(source, BLOCK))
    block = os.read(source, BLOCK)
    for setting in (source, "../source"):
        os.utime(setting, ns=(1, 1))
        os.write(copy, moved(block))
        print(os.stat("../source").st_atime_ns, end=" ")
    show(copy)


def other_file_by_the_same_number():
    source, copy = opened()
    block = os.read(source, BLOCK)
    os.close(source)
    print(os.open("../holes", os.O_RDONLY) == source, os.write(copy, moved(block)), end=" ")
    print(os.stat("../holes").st_atime_ns > 0)
    show(copy)


def mapping_that_is_cut_off():
    source, copy = opened()
    with open("own", "wb+") as own:
        own.write(os.pread(source, 1 << 20, 0))
        own.flush()
        view = memoryview(mmap.mmap(own.fileno(), 1 << 20, prot=mmap.PROT_READ))
        print(os.pwrite(copy, view[:BLOCK], 0), end=" ")
        os.truncate("own", 2 * BLOCK)
        for at in range(0, 4 * BLOCK, BLOCK):

            try:
                print(os.pwrite(copy, view[at:at + BLOCK], at), end=" ")
            except OSError as error:
                print(errno.errorcode[error.errno], end=" ")
    show(copy)


WAYS = {name.replace("_", "-"): way for name, way in list(globals().items())
        if callable(way) and getattr(way, "__module__", "") == "__main__" and name not in
        ("Piece", "opened", "show", "moved", "copy_blocks")}

if sys.argv[1] == "--list":
    print("\n".join(WAYS))
    sys.exit()
WAYS[sys.argv[1]]()
