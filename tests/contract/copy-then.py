"""Copies half of ../source to ./copy by read and write, and then does something else.

usage: copy-then.py ACTION
       copy-then.py --list

Prints what each step returned and what it shows: all of it must be the same with the library and
without, and so must the files that are left.
"""
import ctypes
import fcntl
import hashlib
import mmap
import os
import resource
import socket
import sys
import threading

BLOCK = 1 << 16
HALF = 30
REST = 90
libc = ctypes.CDLL(None, use_errno=True)
# System calls that no library sees have numbers only.
SYS_CLOSE, SYS_LSEEK = (3, 8) if os.uname().machine == "x86_64" else (57, 62)


def copy_blocks(source, copy, turns):
    for _ in range(turns):
        block = os.read(source, BLOCK)
        if not block:
            return print("end of the source")
        print(os.write(copy, block), end=" ")


def show(copy):
    status = os.fstat(copy)
    print("at", os.lseek(copy, 0, os.SEEK_CUR), "of", status.st_size)
    print(hashlib.sha256(os.pread(copy, status.st_size, 0)).hexdigest())


def stops(source, copy):
    pass


def closes_both(source, copy):
    os.close(source)
    os.close(copy)
    print(os.stat("copy").st_size)


def closes_source_first(source, copy):
    os.close(source)
    print(os.fstat(copy).st_size, os.write(copy, b"and a last line\n"))


def closes_range(source, copy):
    # Before glibc 2.34 the library has it, and libc has not.
    known = hasattr(ctypes.CDLL("libc.so.6"), "close_range")
    print(libc.close_range(3, 0xFFFFFFFF, 0) if known else libc.syscall(436, 3, 0xFFFFFFFF, 0))
    print(os.stat("copy").st_size)
    print("next descriptor", os.open("copy", os.O_RDONLY))


def exits_at_once(source, copy):
    os._exit(7)


def aborts(source, copy):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.abort()


def execs(source, copy):
    os.execlp("stat", "stat", "-c", "%s", "copy")


def execs_and_hands_on(source, copy):
    os.dup2(copy, 1)
    os.execlp("echo", "echo", "written by the next program")


def spawns(source, copy):
    os.spawnlp(os.P_WAIT, "sh", "sh", "-c", "cksum <copy >sum; stat -c %s copy >>sum")
    copy_blocks(source, copy, REST)


def system_appends(source, copy):
    os.system("echo from a child >>copy")
    show(copy)
    copy_blocks(source, copy, REST)


def forks_and_child_goes_on(source, copy):
    process = os.fork()
    if process == 0:
        copy_blocks(source, copy, 10)
        os._exit(0)
    os.waitpid(process, 0)
    show(copy)
    copy_blocks(source, copy, REST)


def forks_and_both_go_on(source, copy):
    go, told = os.pipe()
    process = os.fork()
    if process == 0:
        os.read(go, 1)
        copy_blocks(source, copy, 5)
        os._exit(0)
    copy_blocks(source, copy, 5)
    os.write(told, b"x")
    os.waitpid(process, 0)
    copy_blocks(source, copy, 5)
    show(copy)


def forks_and_child_only_exits(source, copy):
    process = os.fork()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)
    copy_blocks(source, copy, REST)


def changes_a_byte(source, copy):
    block = bytearray(os.read(source, BLOCK))
    block[777] ^= 1
    print(os.write(copy, block))
    copy_blocks(source, copy, REST)


def changes_every_block(source, copy):
    while block := os.read(source, BLOCK):
        print(os.write(copy, block.upper()), end=" ")


def writes_something_else(source, copy):
    print(os.write(copy, b"something else"))
    copy_blocks(source, copy, REST)


def writes_one_block_twice(source, copy):
    block = os.read(source, BLOCK)
    print(os.write(copy, block), os.write(copy, block))
    copy_blocks(source, copy, REST)


def writes_less_than_it_read(source, copy):
    block = os.read(source, BLOCK)
    print(os.write(copy, block[:1000]))
    copy_blocks(source, copy, REST)


def reads_more_than_it_writes(source, copy):
    print(len(os.read(source, 3 * BLOCK)))
    copy_blocks(source, copy, REST)


def writes_from_inside_the_buffer(source, copy):
    block = os.read(source, BLOCK)
    print(os.write(copy, memoryview(block)[512:]))
    copy_blocks(source, copy, REST)


def reads_copy_back(source, copy):
    with open("copy", "rb") as back:
        print(hashlib.sha256(back.read()).hexdigest())
    copy_blocks(source, copy, REST)


def reads_copy_by_itself(source, copy):
    os.lseek(copy, -BLOCK, os.SEEK_CUR)
    print(hashlib.sha256(os.read(copy, 4 * BLOCK)).hexdigest())
    show(copy)
    copy_blocks(source, copy, REST)


def maps_copy(source, copy):
    with mmap.mmap(copy, 0) as pages:
        print(len(pages), hashlib.sha256(pages).hexdigest())
    copy_blocks(source, copy, REST)


def asks_for_size(source, copy):
    print(os.fstat(copy).st_size, os.stat("copy").st_size, os.lseek(copy, 0, os.SEEK_END))
    copy_blocks(source, copy, REST)


def seeks_over_gap(source, copy):
    print(os.lseek(copy, 5 * BLOCK + 3, os.SEEK_CUR))
    copy_blocks(source, copy, 4)
    show(copy)


def seeks_both_over_gap(source, copy):
    print(os.lseek(source, 5 * BLOCK, os.SEEK_CUR), os.lseek(copy, 5 * BLOCK, os.SEEK_CUR))
    copy_blocks(source, copy, REST)
    show(copy)


def seeks_copy_back(source, copy):
    print(os.lseek(copy, 3 * BLOCK, os.SEEK_SET))
    copy_blocks(source, copy, 4)


def seeks_source_back(source, copy):
    print(os.lseek(source, 3 * BLOCK, os.SEEK_SET))
    copy_blocks(source, copy, REST)


def starts_again(source, copy):
    os.lseek(source, 0, os.SEEK_SET)
    os.lseek(copy, 0, os.SEEK_SET)
    copy_blocks(source, copy, REST)


def truncates_copy_up(source, copy):
    os.ftruncate(copy, (HALF + 9) * BLOCK + 5)
    show(copy)


def truncates_copy_up_and_goes_on(source, copy):
    os.ftruncate(copy, (HALF + 9) * BLOCK + 5)
    copy_blocks(source, copy, 3)
    show(copy)


def truncates_copy_down(source, copy):
    os.ftruncate(copy, 100)
    copy_blocks(source, copy, 3)
    show(copy)


def truncates_copy_to_nothing(source, copy):
    os.truncate("copy", 0)
    os.lseek(copy, 0, os.SEEK_SET)
    copy_blocks(source, copy, REST)


def opens_copy_again_to_truncate(source, copy):
    os.close(os.open("copy", os.O_WRONLY | os.O_TRUNC))
    show(copy)
    copy_blocks(source, copy, 3)


def allocates(source, copy):
    os.posix_fallocate(copy, 0, (HALF + 7) * BLOCK)
    show(copy)
    copy_blocks(source, copy, 3)


def writes_elsewhere(source, copy):
    print(os.pwrite(copy, b"far away", (HALF + 20) * BLOCK))
    show(copy)
    copy_blocks(source, copy, 3)


def writes_behind(source, copy):
    print(os.pwrite(copy, b"behind", 2 * BLOCK + 5))
    copy_blocks(source, copy, REST)


def appends(source, copy):
    fcntl.fcntl(copy, fcntl.F_SETFL, os.O_APPEND)
    copy_blocks(source, copy, REST)


def appends_by_another_descriptor(source, copy):
    other = os.open("copy", os.O_WRONLY | os.O_APPEND)
    print(os.write(other, b"appended"))
    show(copy)
    copy_blocks(source, copy, 3)


def copies_by_duplicates(source, copy):
    source, copy = os.dup(source), fcntl.fcntl(copy, fcntl.F_DUPFD, 50)
    print(source, copy)
    copy_blocks(source, copy, REST)


def swaps_numbers(source, copy):
    spare = os.dup(source)
    os.dup2(copy, source)
    os.dup2(spare, copy)
    for _ in range(3):
        try:
            print(os.write(copy, os.read(source, BLOCK)))
        except OSError as error:
            print(error)
    show(source)


def opens_another_at_its_number(source, copy):
    os.close(copy)
    again = os.open("other", os.O_RDWR | os.O_CREAT, 0o644)
    print(again == copy)
    copy_blocks(source, again, REST)


def opens_another_source_at_its_number(source, copy):
    os.close(source)
    again = os.open("/proc/self/exe", os.O_RDONLY)
    print(again == source)
    copy_blocks(again, copy, 3)


def closes_unseen(source, copy):
    print(libc.syscall(SYS_CLOSE, copy))
    again = os.open("other", os.O_RDWR | os.O_CREAT, 0o644)
    print(again == copy)
    copy_blocks(source, again, 5)


def seeks_unseen(source, copy):
    print(libc.syscall(SYS_LSEEK, copy, 4 * BLOCK, 1), libc.syscall(SYS_LSEEK, source, BLOCK, 1))
    copy_blocks(source, copy, 5)
    show(copy)


def passes_over_socket(source, copy):
    here, there = socket.socketpair()
    socket.send_fds(here, [b"x"], [copy])
    _, (received,), _, _ = socket.recv_fds(there, 1, 1)
    print(os.lseek(received, 2 * BLOCK, os.SEEK_CUR))
    copy_blocks(source, copy, 5)
    show(copy)


def sets_times(source, copy):
    copy_blocks(source, copy, REST)
    os.utime(copy, ns=(10**18, 10**18))
    print(os.fstat(copy).st_mtime_ns)


def sets_times_and_goes_on(source, copy):
    os.utime(copy, ns=(10**18, 10**18))
    copy_blocks(source, copy, 5)
    print(os.fstat(copy).st_mtime_ns > 10**18)


def sets_mode(source, copy):
    os.fchmod(copy, 0o600)
    copy_blocks(source, copy, REST)


def is_setuid(source, copy):
    os.fchmod(copy, 0o6755)
    copy_blocks(source, copy, 5)
    print(oct(os.fstat(copy).st_mode))


def locks(source, copy):
    fcntl.lockf(copy, fcntl.LOCK_EX)
    copy_blocks(source, copy, REST)
    process = os.fork()
    if process == 0:
        try:
            fcntl.lockf(copy, fcntl.LOCK_EX | fcntl.LOCK_NB)
            print("the lock was lost")
        except OSError as error:
            print("still locked:", error)
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(process, 0)


def next_descriptors(source, copy):
    print([os.open("copy", os.O_RDONLY) for _ in range(5)])
    copy_blocks(source, copy, REST)
    print(sorted(int(fd) for fd in os.listdir("/proc/self/fd") if int(fd) < 100))


def copies_in_another_thread(source, copy):
    worker = threading.Thread(target=copy_blocks, args=(source, copy, REST))
    worker.start()
    worker.join()


def links_and_removes(source, copy):
    os.link("copy", "link")
    os.unlink("copy")
    copy_blocks(source, copy, REST)


def writes_nothing(source, copy):
    print(os.write(copy, b""), os.read(source, 0))
    copy_blocks(source, copy, REST)


def writes_to_bad_address(source, copy):
    print(libc.write(copy, ctypes.c_void_p(8), 100), ctypes.get_errno())
    print(libc.read(source, ctypes.c_void_p(8), 100), ctypes.get_errno())
    copy_blocks(source, copy, REST)


def syncs(source, copy):
    os.fsync(copy)
    os.fdatasync(copy)
    show(copy)
    copy_blocks(source, copy, REST)


def sends_the_rest(source, copy):
    while n := os.sendfile(copy, source, None, 1 << 20):
        print(n, end=" ")
    show(copy)


def copies_range_of_the_rest(source, copy):
    while n := os.copy_file_range(source, copy, 1 << 20):
        print(n, end=" ")
    show(copy)


def sends_with_offset(source, copy):
    print(os.sendfile(copy, source, 3 * BLOCK, BLOCK), os.lseek(source, 0, os.SEEK_CUR))
    copy_blocks(source, copy, 5)
    show(copy)


def second_copy(source, copy):
    other = os.open("other", os.O_RDWR | os.O_CREAT, 0o644)
    for _ in range(20):
        block = os.read(source, BLOCK)
        print(os.write(copy, block), os.write(other, block))
    show(copy)
    show(other)


def not_actions():
    return {"copy_blocks", "show", "not_actions", "main"}


def main():
    actions = {name.replace("_", "-"): what for name, what in globals().items()
               if callable(what) and getattr(what, "__module__", "") == "__main__"
               and name not in not_actions()}
    if sys.argv[1] == "--list":
        print(*actions, sep="\n")
        return
    os.set_inheritable(1, True)
    source = os.open("../source", os.O_RDONLY)
    copy = os.open("copy", os.O_RDWR | os.O_CREAT, 0o644)
    os.set_inheritable(copy, True)
    copy_blocks(source, copy, HALF)
    sys.stdout.flush()
    actions[sys.argv[1]](source, copy)
    print()
    print("copy now", os.path.exists("copy") and os.stat("copy").st_size)


main()
