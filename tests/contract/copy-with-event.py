"""Copies ./source to ./copy by read and write, and lets something happen to a file in the middle.

usage: copy-with-event.py EVENT WHO WHEN   WHO: self or peer, WHEN: between a read and its write, or after
       copy-with-event.py --list           prints every "EVENT WHO WHEN" there is

Prints what each call returned, and at the end what the copy's descriptor shows: all of it must be
the same with the library and without.
"""
import hashlib
import mmap
import os
import sys

BLOCK = 1 << 16
BLOCKS = 48
MIDDLE = 20 * BLOCK
READ_NOW = MIDDLE - BLOCK
TURN = 20


def write_at(path, text, at):
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, text, at)
    os.close(fd)


def through_map(path, text, at):
    fd = os.open(path, os.O_RDWR)
    with mmap.mmap(fd, 0) as pages:
        pages[at:at + len(text)] = text
    os.close(fd)


def append(path, text):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(fd, text)
    os.close(fd)


def regrow(path, size):
    before = os.stat(path).st_size
    os.truncate(path, size)
    os.truncate(path, before)


def replace(path):
    with open(path + ".new", "wb") as new:
        new.write(b"another file" * 1000)
    os.rename(path + ".new", path)


def touch_back(path, text, at):
    """Changes a file and sets its times back, as if nothing had happened."""
    status = os.stat(path)
    write_at(path, text, at)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


SOURCE_EVENTS = {
    "shrinks-below": lambda: os.truncate("source", 10 * BLOCK + 5),
    "shrinks-here": lambda: os.truncate("source", MIDDLE),
    "shrinks-within-block": lambda: os.truncate("source", READ_NOW + 4321),
    "shrinks-ahead": lambda: os.truncate("source", 30 * BLOCK + 99),
    "shrinks-and-regrows": lambda: regrow("source", 15 * BLOCK),
    "grows": lambda: append("source", b"grown" * 50000),
    "grows-by-truncate": lambda: os.truncate("source", (BLOCKS + 20) * BLOCK),
    "changes-behind": lambda: write_at("source", b"behind", 5 * BLOCK + 7),
    "changes-what-was-read": lambda: write_at("source", b"just read", READ_NOW + 100),
    "changes-ahead": lambda: write_at("source", b"ahead" * 30000, 25 * BLOCK + 7),
    "changes-last-byte": lambda: write_at("source", b"!", BLOCKS * BLOCK - 1),
    "changes-with-old-times": lambda: touch_back("source", b"sly", 35 * BLOCK),
    "changes-by-map": lambda: through_map("source", b"mapped", 27 * BLOCK + 3),
    "changes-read-by-map": lambda: through_map("source", b"mapped", READ_NOW + 3),
    "is-replaced": lambda: replace("source"),
    "is-removed": lambda: os.unlink("source"),
    "is-closed-to-all": lambda: os.chmod("source", 0),
}

COPY_EVENTS = {
    "copy-is-changed-behind": lambda: write_at("copy", b"scribble", 3 * BLOCK + 9),
    "copy-is-removed": lambda: os.unlink("copy"),
    "copy-is-renamed": lambda: os.rename("copy", "renamed"),
    "copy-is-emptied": lambda: os.truncate("copy", 0),
    "copy-is-shortened": lambda: os.truncate("copy", 12 * BLOCK + 34),
    "copy-is-mode-changed": lambda: os.chmod("copy", 0o600),
}

EVENTS = SOURCE_EVENTS | COPY_EVENTS
WHO = ("self", "peer")
WHEN = ("between", "after")


class Peer:
    """Another process, there before the copy began, that does what it is told."""

    def __init__(self, event):
        hear, tell = os.pipe()
        heard, told = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            os.read(hear, 1)
            event()
            os.write(told, b"done")
            os._exit(0)
        self.tell, self.heard = tell, heard

    def act(self):
        os.write(self.tell, b"x")
        os.read(self.heard, 4)
        os.waitpid(self.process, 0)


def main():
    if sys.argv[1:] == ["--list"]:
        for event in EVENTS:
            for who in WHO:
                for when in WHEN:
                    print(event, who, when)
        return
    name, who, when = sys.argv[1:]
    act = Peer(EVENTS[name]).act if who == "peer" else EVENTS[name]
    source = os.open("source", os.O_RDONLY)
    copy = os.open("copy", os.O_RDWR | os.O_CREAT, 0o644)
    seen = hashlib.sha256()
    for turn in range(BLOCKS + 40):
        block = os.read(source, BLOCK)
        if turn == TURN - 1 and when == "between":
            act()
        if not block:
            print("end at", turn)
            break
        seen.update(block)
        print(len(block), os.write(copy, block))
        if turn == TURN - 1 and when == "after":
            act()
    print(os.lseek(source, 0, os.SEEK_CUR), os.lseek(copy, 0, os.SEEK_CUR))
    print("read", seen.hexdigest())
    size = os.fstat(copy).st_size
    print("copy", size, hashlib.sha256(os.pread(copy, size, 0)).hexdigest())


main()
