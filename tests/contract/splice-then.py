"""Copies ./source to ACTION/copy by splice(2) through a pipe, and does what could go wrong between the two calls. Each
action is a child process, for a start of Python takes longer than all of them.

usage: splice-then.py ACTION...
       splice-then.py --list

Prints what each call returned, the offsets that it moved, and what is left in pipe and file: all of it must be the same
with the library and without, and so must the files. Actions under "shares" end with shared blocks on a file system that
can.
"""
import array
import contextlib
import ctypes
import errno
import fcntl
import hashlib
import io
import mmap
import os
import resource
import select
import signal
import socket
import sys
import termios
import threading

BLOCK = 1 << 16
F_SETPIPE_SZ = 1031
MOVE, NONBLOCK, MORE = 1, 2, 4
libc = ctypes.CDLL(None, use_errno=True)
libc.splice.restype = libc.tee.restype = libc.vmsplice.restype = ctypes.c_ssize_t


def at(offset):
    return ctypes.c_int64(offset)


def splice(into, start, out, to, n, flags=0):
    """start, to: None, a c_int64 that moves, or an address."""
    places = [ctypes.byref(place) if isinstance(place, ctypes.c_int64) else ctypes.c_void_p(place) for place in (start, to)]
    ctypes.set_errno(0)
    moved = libc.splice(into, places[0], out, places[1], ctypes.c_size_t(n), ctypes.c_uint(flags))
    error = errno.errorcode.get(ctypes.get_errno(), "")
    print(moved, error, *(place.value for place in (start, to) if isinstance(place, ctypes.c_int64)), end=", ")
    return moved


def lies_in(pipe):
    n = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, n)
    return n[0]


def show_pipe(pipe):
    n = lies_in(pipe)
    print("pipe", n, hashlib.sha256(os.read(pipe, n)).hexdigest()[:8] if n else "", end=", ")


def show(copy):
    status = os.fstat(copy)
    print("\nat", os.lseek(copy, 0, os.SEEK_CUR), "of", status.st_size)
    print(hashlib.sha256(os.pread(copy, status.st_size, 0)).hexdigest())


def pipe_of(n=BLOCK, mode=0):
    ends = os.pipe2(mode)
    fcntl.fcntl(ends[1], F_SETPIPE_SZ, n)
    return ends


def own(source):
    """A file of the action's own to change, which no copy has made: what becomes of a page that is in a pipe when its file
    is changed is the file system's affair, and not the same where blocks are shared."""
    changed = os.open("changed", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.write(changed, os.pread(source, 16 * BLOCK, 0)[::-1])
    os.fsync(changed)
    os.lseek(changed, 0, os.SEEK_SET)
    return changed


def pairs(source, copy, n=BLOCK, flags=0, offsets=False, size=BLOCK):
    out, into = pipe_of(size)
    start, to = (at(0), at(0)) if offsets else (None, None)
    while (moved := splice(source, start, into, None, n, flags)) > 0:
        while moved > 0 and (part := splice(out, None, copy, to, moved, flags)) > 0:
            moved -= part
        print(os.lseek(source, 0, os.SEEK_CUR), os.lseek(copy, 0, os.SEEK_CUR), os.fstat(copy).st_size, end="; ")
        if moved:
            break
    show_pipe(out)


def shares_pairs(source, copy):
    pairs(source, copy)


def shares_pairs_as_gio_makes_them(source, copy):
    pairs(source, copy, 1 << 20, MORE, True, 1 << 20)


def shares_pairs_of_all(source, copy):
    pairs(source, copy, 16 << 20, MOVE, False, 1 << 20)


def shares_pairs_at_offsets(source, copy):
    pairs(source, copy, 2 * BLOCK, MOVE | MORE | NONBLOCK, True)


def shares_pairs_over_a_hole(source, copy):
    os.ftruncate(copy, os.fstat(source).st_size)
    pairs(source, copy, 1 << 20, 0, True, 1 << 20)


def shares_pairs_to_an_offset_that_a_child_has(source, copy):
    if os.fork() == 0:
        os._exit(0)
    os.wait()
    pairs(source, copy)


def shares_pairs_without_a_look(source, copy):
    out, into = pipe_of(1 << 20)
    while (moved := libc.splice(source, None, into, None, ctypes.c_size_t(1 << 20), 0)) > 0:
        assert libc.splice(out, None, copy, None, ctypes.c_size_t(1 << 20), 0) == moved


def shares_pairs_after_one_of_them_had_other_bytes(source, copy):
    out, into = pipe_of()
    for turn in range(60):
        splice(source, None, into, None, BLOCK)
        if turn == 1:
            os.read(out, BLOCK)
            os.write(into, b"other" * 13107 + b"!")
        splice(out, None, copy, None, BLOCK)


def in_small_pieces(source, copy):
    pairs(source, copy, 5000)


def into_what_is_there(source, copy):
    os.pwrite(copy, b"x" * (3 * BLOCK + 100), BLOCK)
    pairs(source, copy, BLOCK, 0, True)


def at_shifted_offsets(source, copy):
    out, into = pipe_of()
    for turn in range(6):
        start, to = at(turn * BLOCK), at(turn * BLOCK + (0, 100, 4096)[turn % 3])
        splice(source, start, into, None, BLOCK)
        splice(out, None, copy, to, BLOCK)
        show_pipe(out)


def beyond_a_gap(source, copy):
    out, into = pipe_of()
    for turn in (0, 1, 4, 5, 9):
        for file in source, copy:
            os.lseek(file, turn * BLOCK, os.SEEK_SET)
        splice(source, None, into, None, BLOCK)
        splice(out, None, copy, None, BLOCK)
    show_pipe(out)


def in_parts(source, copy):
    out, into = pipe_of()
    for part in (1, 4096, 30000, 65535, 65536, 65537, 131072):
        splice(source, None, into, None, BLOCK)
        splice(out, None, copy, None, part)
        print(lies_in(out), end=" ")
        while lies_in(out):
            splice(out, None, copy, None, part)


def in_parts_of_no_length(source, copy):
    out, into = pipe_of()
    splice(source, None, into, None, BLOCK)
    splice(out, None, copy, None, 0)
    for n in (1 << 31, 1 << 63, 2**64 - 1):
        splice(out, None, copy, None, n)
        show_pipe(out)
        splice(source, None, into, None, BLOCK)
    show_pipe(out)


def twice_into_the_pipe(source, copy):
    out, into = pipe_of(1 << 20)
    for _ in range(4):
        splice(source, None, into, None, BLOCK)
        splice(source, None, into, None, BLOCK)
        splice(out, None, copy, None, 2 * BLOCK)
        show_pipe(out)


def to_a_pipe_with_other_bytes_before(source, copy):
    out, into = pipe_of(1 << 20)
    for _ in range(3):
        os.write(into, b"before")
        splice(source, None, into, None, BLOCK)
        splice(out, None, copy, None, BLOCK)
        show_pipe(out)


def to_a_pipe_with_other_bytes_behind(source, copy):
    out, into = pipe_of(1 << 20)
    for _ in range(3):
        splice(source, None, into, None, BLOCK)
        os.write(into, b"behind")
        splice(out, None, copy, None, BLOCK)
        show_pipe(out)


def other_bytes_of_the_same_number(source, copy):
    out, into = pipe_of()
    for _ in range(3):
        splice(source, None, into, None, BLOCK)
        os.read(out, BLOCK)
        os.write(into, bytes(range(256)) * 256)
        splice(out, None, copy, None, BLOCK)
        show_pipe(out)


def two_sources(source, copy):
    other = own(source)
    out, into = pipe_of(1 << 20)
    for turn in range(4):
        splice(source, None, into, None, BLOCK)
        splice(other, None, into, None, BLOCK)
        splice(out, None, copy, None, BLOCK)
        splice(out, None, copy, None, BLOCK)
        splice((source, other)[turn % 2], None, into, None, BLOCK)
        splice(out, None, copy, None, BLOCK)
    show_pipe(out)


def two_pipes(source, copy):
    out, into = pipe_of()
    out2, into2 = pipe_of()
    for _ in range(3):
        splice(source, None, into, None, BLOCK)
        splice(source, None, into2, None, BLOCK)
        splice(out, None, copy, None, BLOCK)
        splice(out2, None, copy, None, BLOCK)
        show_pipe(out2)


def changed_between(source, copy, change):
    changed = own(source)
    out, into = pipe_of()
    for turn in range(8):
        splice(changed, None, into, None, BLOCK)
        if turn % 3 == 1:
            change(changed, turn * BLOCK)
        splice(out, None, copy, None, BLOCK, NONBLOCK)
        show_pipe(out)


def source_written_between(source, copy):
    changed_between(source, copy, lambda changed, place: os.pwrite(changed, b"changed", place + 5000))


def source_cut_between(source, copy):
    changed_between(source, copy, lambda changed, place: os.truncate("changed", place + 10000))


def source_punched_between(source, copy):
    """What the pipe shows of a page that is punched depends on how large the page cache's pieces are, and on who holds them: old
    bytes or zeros, in a plain program too, by what it has read before."""
    places = []

    def punch(changed, place):
        print(libc.fallocate(changed, 3, ctypes.c_long(place), ctypes.c_long(20000)), end=" ")
        places.append(place)
    changed_between(source, copy, punch)
    before = os.pread(source, 16 * BLOCK, 0)[::-1]
    for place in places:
        punched = os.pread(copy, 20000, place)
        print(all(byte in (0, was) for byte, was in zip(punched, before[place:])), end=" ")
        os.pwrite(copy, bytes(20000), place)


def source_stored_to_between(source, copy):
    view = None

    def store(changed, place):
        nonlocal view
        view = view or mmap.mmap(changed, 16 * BLOCK)
        view[place + 77] = 7
    changed_between(source, copy, store)


def source_replaced_by_its_number_between(source, copy):
    changed = own(source)
    os.pwrite(changed, b"changed", 300)
    again = os.open("../source", os.O_RDONLY)
    out, into = pipe_of()
    splice(again, None, into, None, BLOCK)
    os.dup2(changed, again)
    splice(out, None, copy, None, BLOCK)
    show_pipe(out)


def source_closed_between(source, copy):
    out, into = pipe_of()
    splice(source, None, into, None, BLOCK)
    os.close(source)
    splice(out, None, copy, None, BLOCK)
    show_pipe(out)


def sources_offset_moved_between(source, copy):
    out, into = pipe_of()
    for turn in range(4):
        splice(source, None, into, None, BLOCK)
        os.lseek(source, turn * BLOCK, os.SEEK_SET)
        splice(out, None, copy, None, BLOCK)


def destination_written_between(source, copy):
    out, into = pipe_of()
    for turn in range(6):
        splice(source, None, into, None, BLOCK)
        if turn % 2:
            print(os.write(copy, b"between"), end=" ")
        splice(out, None, copy, None, BLOCK)


def destination_moved_between(source, copy):
    out, into = pipe_of()
    for turn in range(6):
        splice(source, None, into, None, BLOCK)
        if turn % 2:
            print(os.lseek(copy, -30000 * turn, os.SEEK_CUR), end=" ")
        splice(out, None, copy, None, BLOCK)


def destination_is_the_source(source, copy):
    pairs(source, copy, 4 * BLOCK, 0, False, 1 << 20)
    out, into = pipe_of(1 << 20)
    for turn in range(8):
        splice(copy, at(turn * BLOCK), into, None, 4 * BLOCK)
        splice(out, None, copy, at(turn * BLOCK + (4096, 100)[turn % 2]), 4 * BLOCK)
        show_pipe(out)


def destination_for_appending(source, copy):
    pairs(source, os.open("copy", os.O_WRONLY | os.O_APPEND))


def destination_that_begins_to_append(source, copy):
    out, into = pipe_of()
    for turn in range(6):
        splice(source, None, into, None, BLOCK)
        fcntl.fcntl(copy, fcntl.F_SETFL, os.O_APPEND if turn == 3 else 0)
        splice(out, None, copy, None, BLOCK)
        show_pipe(out)


def destination_for_reading(source, copy):
    reading = os.open("copy", os.O_RDONLY)
    out, into = pipe_of()
    for _ in range(2):
        splice(source, None, into, None, BLOCK)
        splice(out, None, reading, None, BLOCK)
        show_pipe(out)


def destination_without_splice(source, copy):
    strange = [os.open(name, os.O_RDWR) for name in ("/proc/self/comm", "/dev/null", "/dev/zero")]
    ends, sockets = pipe_of(), socket.socketpair()
    out, into = pipe_of()
    for to in (*strange, ends[1], sockets[0].fileno(), into, 999, os.open(".", os.O_RDONLY)):
        for _ in range(2):
            splice(source, None, into, None, 5000)
            splice(out, None, to, None, 5000, NONBLOCK)
            show_pipe(out)


def through_direct_destination(source, copy):
    direct = os.open("copy", os.O_RDWR | os.O_DIRECT)
    pairs(source, direct)


def from_direct_source(source, copy):
    pairs(os.open("../source", os.O_RDONLY | os.O_DIRECT), copy)


def offsets_that_are_none(source, copy):
    out, into = pipe_of()
    for start, to in ((None, at(-1)), (None, at(-(2**63))), (None, 1), (None, 2**63), (at(0), None), (at(0), at(0)),
                      (None, at(2**63 - 1)), (None, at(2**63 - BLOCK))):
        splice(source, None, into, None, BLOCK)
        splice(out, start, copy, to, BLOCK)
        show_pipe(out)
    for start in (at(-1), 1, at(2**63 - 1), at(1 << 40)):
        splice(source, start, into, None, BLOCK)
        splice(out, None, copy, None, BLOCK, NONBLOCK)
        show_pipe(out)


def offset_that_cannot_be_written(source, copy):
    page = mmap.mmap(-1, 4096)
    start = ctypes.addressof(ctypes.c_char.from_buffer(page))
    out, into = pipe_of()
    libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(4096), 1)
    splice(source, None, into, None, BLOCK)
    splice(out, None, copy, start, BLOCK)
    show_pipe(out)
    splice(source, start, into, None, BLOCK)
    show_pipe(out)


def flags(source, copy):
    out, into = pipe_of()
    for flag in (1, 2, 4, 8, 15, 16, 32, 1 << 31):
        splice(source, None, into, None, BLOCK, flag)
        splice(out, None, copy, None, BLOCK, flag)
        show_pipe(out)


def pipe_that_is_empty(source, copy):
    out, into = pipe_of(BLOCK, os.O_NONBLOCK)
    splice(out, None, copy, None, BLOCK)
    splice(source, None, into, None, BLOCK)
    os.read(out, BLOCK)
    splice(out, None, copy, None, BLOCK)
    splice(out, None, copy, None, BLOCK, NONBLOCK)
    os.close(into)
    splice(out, None, copy, None, BLOCK)


def pipe_that_is_full(source, copy):
    out, into = pipe_of(BLOCK, os.O_NONBLOCK)
    for _ in range(4):
        splice(source, None, into, None, 2 * BLOCK)
        splice(source, None, into, None, 2 * BLOCK)
        splice(out, None, copy, None, 2 * BLOCK)


def pipe_in_packets(source, copy):
    out, into = pipe_of(1 << 20, os.O_DIRECT)
    for _ in range(3):
        splice(source, None, into, None, 4 * BLOCK)
        splice(out, None, copy, None, 4 * BLOCK)
        os.write(into, b"packet")
        print(os.read(out, 100), end=" ")


def pipe_by_its_end_for_writing(source, copy):
    signal.alarm(60)
    out, into = pipe_of()
    for n in (BLOCK, BLOCK // 16):
        splice(source, None, into, None, n)
        splice(into, None, copy, None, n)
        show_pipe(out)
        splice(source, None, out, None, n)
        splice(out, None, copy, None, n, NONBLOCK)


def pipe_closed_between(source, copy):
    out, into = pipe_of()
    splice(source, None, into, None, BLOCK)
    os.close(into)
    splice(out, None, copy, None, BLOCK)
    splice(out, None, copy, None, BLOCK)
    out, into = pipe_of()
    splice(source, None, into, None, BLOCK)
    os.close(out)
    splice(out, None, copy, None, BLOCK)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    splice(source, None, into, None, BLOCK)


def pipe_of_other_numbers(source, copy):
    out, into = pipe_of()
    more = os.dup(out), os.dup(into), fcntl.fcntl(out, fcntl.F_DUPFD, 50), os.dup2(into, 60)
    for read, write in ((out, into), (out, more[1]), (more[0], into), (more[2], more[3])):
        splice(source, None, write, None, BLOCK)
        splice(read, None, copy, None, BLOCK)
        show_pipe(out)


def pipe_that_a_child_has(source, copy):
    out, into = pipe_of()
    go, say = os.pipe(), os.pipe()
    if os.fork() == 0:
        for _ in range(3):
            os.read(go[0], 1)
            got = os.read(out, 1000)
            os.write(say[1], hashlib.sha256(got).digest())
        os._exit(0)
    for _ in range(3):
        splice(source, None, into, None, BLOCK)
        os.write(go[1], b"x")
        print(os.read(say[0], 100).hex()[:8], end=" ")
        splice(out, None, copy, None, BLOCK)
        show_pipe(out)
    os.wait()


def pipe_that_was_sent_away(source, copy):
    ours, theirs = socket.socketpair()
    out, into = pipe_of()
    splice(source, None, into, None, BLOCK)
    splice(out, None, copy, None, BLOCK)
    socket.send_fds(ours, [b"x"], [out, into])
    got = socket.recv_fds(theirs, 1, 2)[1]
    splice(source, None, into, None, BLOCK)
    os.write(got[1], b"") if lies_in(got[0]) == BLOCK else os.write(got[1], b"?")
    splice(out, None, copy, None, BLOCK)
    show_pipe(got[0])


def pipe_that_a_thread_reads(source, copy):
    out, into = pipe_of()
    begin, done = threading.Semaphore(0), threading.Semaphore(0)

    def read():
        for _ in range(4):
            begin.acquire()
            print(hashlib.sha256(os.read(out, 3000)).hexdigest()[:8], end=" ")
            done.release()
    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(4):
        splice(source, None, into, None, BLOCK)
        begin.release()
        done.acquire()
        splice(out, None, copy, None, BLOCK)
        show_pipe(out)
    thread.join()


def pipe_that_a_thread_fills(source, copy):
    out, into = pipe_of()

    def fill():
        while os.splice(source, into, BLOCK):
            pass
        os.close(into)
    thread = threading.Thread(target=fill)
    thread.start()
    while os.splice(out, copy, BLOCK):
        pass
    thread.join()


def pipe_that_tells_its_times(source, copy):
    out, into = pipe_of()
    os.utime(out, ns=(1, 1))
    for _ in range(3):
        splice(source, None, into, None, BLOCK)
        splice(out, None, copy, None, BLOCK)
        status = os.stat(out)
        print(status.st_atime_ns, status.st_mtime_ns, end=" ")


def pipe_that_is_watched(source, copy):
    """splice(2) tells of room in a pipe that was never full; read(2) of one that was alone."""
    out, into = pipe_of(1 << 20)
    watch = select.epoll()
    watch.register(into, select.EPOLLOUT | select.EPOLLET)
    watch.register(out, select.EPOLLIN | select.EPOLLET)
    for _ in range(3):
        splice(source, None, into, None, BLOCK)
        print(sorted(event for _, event in watch.poll(0)), end=" ")
        splice(out, None, copy, None, BLOCK)
        print(sorted(event for _, event in watch.poll(0)), end=" ")


def tee_between(source, copy):
    out, into = pipe_of()
    out2, into2 = pipe_of()
    for _ in range(3):
        splice(source, None, into, None, BLOCK)
        print(libc.tee(out, into2, ctypes.c_size_t(BLOCK), 0), end=" ")
        splice(out, None, copy, None, BLOCK)
        splice(out2, None, copy, None, BLOCK)
        show_pipe(out2)


def memory_into_the_pipe(source, copy):
    class Piece(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
    memory = mmap.mmap(-1, BLOCK)
    memory[:] = b"m" * BLOCK
    piece = Piece(ctypes.addressof(ctypes.c_char.from_buffer(memory)), BLOCK)
    out, into = pipe_of()
    for _ in range(3):
        splice(source, None, into, None, BLOCK)
        os.read(out, BLOCK)
        print(libc.vmsplice(into, ctypes.byref(piece), ctypes.c_long(1), 0), end=" ")
        splice(out, None, copy, None, BLOCK)
        show_pipe(out)


def beyond_the_size_limit(source, copy):
    caught = []
    signal.signal(signal.SIGXFSZ, lambda number, frame: caught.append(number))
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 * BLOCK // 2 + 100, resource.RLIM_INFINITY))
    out, into = pipe_of()
    for _ in range(5):
        splice(source, None, into, None, BLOCK)
        splice(out, None, copy, None, BLOCK)
        print(len(caught), end=" ")
        show_pipe(out)


def beyond_the_largest_file(source, copy):
    """Of ext4's: what does not fit stays in the pipe."""
    place = (2**32 - 8) * 4096
    out, into = pipe_of()
    for _ in range(4):
        splice(source, None, into, None, BLOCK)
        splice(out, None, copy, at(place), BLOCK)
        show_pipe(out)
        print(hashlib.sha256(os.pread(copy, BLOCK, place)).hexdigest()[:8], end=" ")
    os.ftruncate(copy, 0)


def with_little_address_space(source, copy):
    with open("/proc/self/statm", encoding="ascii") as told:
        used = int(told.read().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), resource.RLIM_INFINITY))
    pairs(source, copy, 1 << 20, 0, False, 1 << 20)


def interrupted_by_signals(source, copy):
    caught, seen = [], set()
    out, into = pipe_of(1 << 20)

    def look(number, frame):
        n, size = lies_in(out), os.fstat(copy).st_size
        seen.add(n + size == os.lseek(source, 0, os.SEEK_CUR))
        caught.append(number)
    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    while libc.splice(source, None, into, None, ctypes.c_size_t(BLOCK), 0):
        while lies_in(out):
            libc.splice(out, None, copy, None, ctypes.c_size_t(BLOCK), 0)
    signal.setitimer(signal.ITIMER_REAL, 0, 0)
    print(seen <= {True})


ACTIONS = {name.replace("_", "-"): action for name, action in list(globals().items())
           if callable(action) and getattr(action, "__module__", "") == "__main__" and action.__code__.co_varnames[:2] == ("source", "copy")
           and len(action.__code__.co_varnames[:action.__code__.co_argcount]) == 2}

def perform(name):
    source_file = os.open("../source", os.O_RDONLY)
    copy_file = os.open("copy", os.O_RDWR | os.O_CREAT, 0o644)
    with contextlib.redirect_stdout(io.StringIO()) as told:
        ACTIONS[name](source_file, copy_file)
        show(copy_file)
    # What is printed must not meet an action's limit.
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(told.getvalue())


def perform_in_a_child(name):
    os.mkdir(name)
    print(name, flush=True)
    if os.fork() == 0:
        os.chdir(name)
        perform(name)
        sys.stdout.flush()
        os._exit(0)
    print("status", os.wait()[1], flush=True)


if sys.argv[1] == "--list":
    print("\n".join(ACTIONS))
    sys.exit()
for wanted in sys.argv[1:]:
    perform_in_a_child(wanted)
