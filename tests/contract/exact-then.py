"""Copies ../source to ./copy by calls that are offloaded each by itself, and does what could go wrong with that.

usage: exact-then.py ACTION
       exact-then.py --list

Prints what each call returned and what it shows: all of it must be the same with the library and without, and so must
the files that are left.
"""
import concurrent.futures
import ctypes
import errno
import fcntl
import hashlib
import mmap
import os
import resource
import signal
import struct
import sys
import threading

BLOCK = 1 << 17
libc = ctypes.CDLL(None, use_errno=True)
FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR, FS_XFLAG_EXTSIZE = 0x801C581F, 0x401C5820, 0x800
SYS_COPY_FILE_RANGE, SYS_FALLOCATE = (326, 285) if os.uname().machine == "x86_64" else (285, 47)


def tell(call, *arguments):
    try:
        print(call(*arguments), end=" ")
    except OSError as error:
        print(errno.errorcode[error.errno], end=" ")


def show(copy):
    status = os.fstat(copy)
    print("\nat", os.lseek(copy, 0, os.SEEK_CUR), "of", status.st_size)
    print(hashlib.sha256(os.pread(copy, status.st_size, 0)).hexdigest())


def blocks(source):
    return range(0, os.fstat(source).st_size, BLOCK)


def pwrites(source, copy):
    for at in blocks(source):
        tell(os.pwrite, copy, os.pread(source, BLOCK, at), at)


def pwrites_backwards(source, copy):
    for at in reversed(blocks(source)):
        tell(os.pwrite, copy, os.pread(source, BLOCK, at), at)


def pwrites_into_what_is_there(source, copy):
    os.pwrite(copy, b"x" * (3 * BLOCK), BLOCK)
    pwrites(source, copy)


def pwrites_between_other_bytes(source, copy):
    for at in blocks(source):
        block = os.pread(source, BLOCK, at)
        if at // BLOCK % 3 == 1:
            block = block[:70000] + b"other" + block[70005:]
        tell(os.pwrite, copy, block, at)


def pwrites_other_bytes_in_the_middle(source, copy):
    for at in blocks(source):
        block = os.pread(source, BLOCK, at)
        tell(os.pwrite, copy, block[:1000] + b"?" + block[1001:], at)


def pwrites_to_an_appending_descriptor(source, copy):
    os.write(copy, b"first")
    appending = os.open("copy", os.O_WRONLY | os.O_APPEND)
    for at in list(blocks(source))[:4]:
        tell(os.pwrite, appending, os.pread(source, BLOCK, at), at)


def pwrites_to_a_descriptor_for_reading(source, copy):
    reading = os.open("copy", os.O_RDONLY)
    tell(os.pwrite, reading, os.pread(source, BLOCK, 0), 0)


def pwrites_beyond_the_size_limit(source, copy):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 * BLOCK // 2, resource.RLIM_INFINITY))
    for at in list(blocks(source))[:5]:
        tell(os.pwrite, copy, os.pread(source, BLOCK, at), at)


def pwrites_where_space_was_promised(source, copy):
    os.posix_fallocate(copy, 0, 8 * BLOCK)
    pwrites(source, copy)


def pwrites_at_once_from_four_threads(source, copy):
    def work(which):
        for at in blocks(source):
            if at // BLOCK % 4 == which:
                block = os.pread(source, BLOCK, at)
                os.pwrite(copy, block.upper() if which == 3 else block, at)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def pwrites_from_memory_that_another_thread_reads_to(source, copy):
    memory = mmap.mmap(-1, BLOCK)
    os.preadv(source, [memory], 0)
    os.pwrite(copy, memory, 0)
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        for at in blocks(source)[1:]:
            n = other.submit(os.preadv, source, [memory], at).result()
            tell(os.pwrite, copy, memoryview(memory)[:n], at)


def pwrites_behind_what_is_read_from_proc(source, copy):
    memory = mmap.mmap(-1, BLOCK)
    version = os.open("/proc/version", os.O_RDONLY)
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        other.submit(os.getpid).result()
        for at in (0, BLOCK):
            os.preadv(version, [memory], 0)
            tell(os.pwrite, copy, memory, at)


def pwrites_to_extents_of_a_wanted_size(source, copy):
    attributes = bytearray(28)
    tell(fcntl.ioctl, copy, FS_IOC_FSGETXATTR, attributes)
    flags, size, *rest = struct.unpack("=7I", attributes)
    tell(fcntl.ioctl, copy, FS_IOC_FSSETXATTR, struct.pack("=7I", flags | FS_XFLAG_EXTSIZE, 1 << 23, *rest))
    os.pwrite(copy, b"x", os.fstat(source).st_size - 1)
    pwrites(source, copy)


def pwrites_in_two_processes(source, copy):
    child = os.fork()
    for at in blocks(source):
        if (at // BLOCK % 2 == 0) == (child == 0):
            os.pwrite(copy, os.pread(source, BLOCK, at), at)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def writes_over_a_hole(source, copy):
    size = os.fstat(source).st_size
    os.ftruncate(copy, size)
    while block := os.read(source, BLOCK):
        tell(os.write, copy, block)


def writes_beyond_a_gap(source, copy):
    for turn in range(8):
        os.lseek(source, 2 * turn * BLOCK, 0)
        os.lseek(copy, 2 * turn * BLOCK, 0)
        tell(os.write, copy, os.read(source, BLOCK))


def writes_to_what_is_mapped(source, copy):
    size = os.fstat(source).st_size
    os.ftruncate(copy, size)
    with mmap.mmap(copy, size) as view:
        while block := os.read(source, BLOCK):
            tell(os.write, copy, block)
            print(hashlib.sha256(view[:]).hexdigest()[:8], end=" ")


def sends_to_a_shared_offset(source, copy):
    child = os.fork()
    if child == 0:
        tell(os.sendfile, copy, source, 0, 5 * BLOCK)
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
    tell(os.sendfile, copy, source, 5 * BLOCK, 3 * BLOCK + 100)
    tell(os.sendfile, copy, source, None, 100 * BLOCK)


def sends_into_what_is_there(source, copy):
    os.pwrite(copy, b"x" * BLOCK, 2 * BLOCK)
    tell(os.sendfile, copy, source, 0, 2 * BLOCK)
    tell(os.sendfile, copy, source, 2 * BLOCK, 2 * BLOCK)
    tell(os.sendfile, copy, source, None, 3 * BLOCK + 5000)
    tell(os.sendfile, copy, source, None, 1 << 31)


def sends_beyond_the_size_limit(source, copy):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    os.ftruncate(copy, 10 * BLOCK)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 * BLOCK // 2, resource.RLIM_INFINITY))
    for _ in range(3):
        tell(os.sendfile, copy, source, None, 2 * BLOCK)


def ranges(source, copy):
    tell(os.copy_file_range, source, copy, BLOCK)
    tell(os.copy_file_range, source, copy, 3 * BLOCK + 5000)
    tell(os.copy_file_range, source, copy, 2 * BLOCK, 0, BLOCK)
    tell(os.copy_file_range, source, copy, 2 * BLOCK, BLOCK, 1 << 22)
    tell(os.copy_file_range, source, copy, 1 << 40, 100, 1 << 23)
    tell(os.copy_file_range, source, copy, 1 << 40)
    tell(os.copy_file_range, source, copy, 1 << 40)


def ranges_of_whole_blocks(source, copy):
    tell(os.copy_file_range, source, copy, BLOCK)
    tell(os.copy_file_range, source, copy, 3 * BLOCK, 4 * BLOCK, 6 * BLOCK)
    tell(os.copy_file_range, source, copy, 1 << 40)
    tell(os.copy_file_range, source, copy, 1 << 40)


def ranges_by_number(source, copy):
    offsets = (ctypes.c_int64 * 2)(0, 0)
    first, second = ctypes.byref(offsets, 0), ctypes.byref(offsets, 8)
    for flags, n in ((0, BLOCK), (1, BLOCK), (0, 3 * BLOCK + 1), (0, 1 << 40), (0, 1 << 40)):
        ctypes.set_errno(0)
        print(libc.syscall(SYS_COPY_FILE_RANGE, source, first, copy, second, ctypes.c_size_t(n), flags),
              ctypes.get_errno(), list(offsets), end=" ")
    print(libc.syscall(SYS_COPY_FILE_RANGE, source, ctypes.c_void_p(1), copy, second, BLOCK, 0), ctypes.get_errno())


def ranges_that_fail(source, copy):
    reading, appending = os.open("copy", os.O_RDONLY), os.open("copy", os.O_WRONLY | os.O_APPEND)
    tell(os.copy_file_range, source, reading, BLOCK, 0, 0)
    tell(os.copy_file_range, source, appending, BLOCK, 0, 0)
    tell(os.copy_file_range, copy, copy, BLOCK, 0, 100)
    tell(os.copy_file_range, os.open("copy", os.O_WRONLY), copy, BLOCK, 0, 0)
    tell(os.copy_file_range, source, copy, BLOCK, -5, 0)
    tell(os.copy_file_range, source, copy, BLOCK, 0, -5)
    tell(os.copy_file_range, source, os.pipe()[1], BLOCK)
    tell(os.copy_file_range, source, 999, BLOCK)
    tell(os.copy_file_range, source, copy, 0)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 * BLOCK // 2, resource.RLIM_INFINITY))
    tell(os.copy_file_range, source, copy, 2 * BLOCK, 0, BLOCK)
    tell(os.copy_file_range, source, copy, 2 * BLOCK, 0, 4 * BLOCK)


ACTIONS = {name.replace("_", "-"): action for name, action in list(globals().items())
           if name.startswith(("pwrites", "writes", "sends", "ranges"))}

if sys.argv[1] == "--list":
    print("\n".join(ACTIONS))
    sys.exit()
source_file = os.open("../source", os.O_RDONLY)
copy_file = os.open("copy", os.O_RDWR | os.O_CREAT, 0o644)
ACTIONS[sys.argv[1]](source_file, copy_file)
show(copy_file)
