"""Starts a Midnight Commander in a terminal, copies the first file with F5 and leaves with F10.

usage: mc-press-f5.py MC FROM TO
"""
import os
import pty
import select
import sys
import time

WAIT = 30
DOWN = b"\x1bOB"
F5 = b"\x1b[15~"
F10 = b"\x1b[21~"


class Terminal:
    def __init__(self, arguments):
        self.screen = b""
        self.ended = False
        self.process, self.fd = pty.fork()
        if self.process == 0:
            os.execvp(arguments[0], arguments)

    def listen(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return
        try:
            heard = os.read(self.fd, 65536)
        except OSError:
            heard = b""
        sys.stdout.buffer.write(heard)
        self.screen += heard
        self.ended = not heard

    def press(self, keys, what, done):
        """Presses keys until they have had their effect: mc forgets those that come too early."""
        limit = time.monotonic() + WAIT
        self.screen = b""
        while not done():
            os.write(self.fd, keys)
            again = time.monotonic() + 1
            while time.monotonic() < again and not done():
                if self.ended or time.monotonic() > limit:
                    sys.exit(f"waited in vain: {what}")
                self.listen(0.1)

    def status(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


def main():
    mc, source, target = sys.argv[1:]
    size = os.stat(f"{source}/file").st_size
    terminal = Terminal([mc, "--nosubshell", "--nocolor", "--nomouse", source, target])

    def copied():
        try:
            return os.stat(f"{target}/file").st_size >= size
        except FileNotFoundError:
            return False

    terminal.press(b"", "the panels", lambda: b"UP--DIR" in terminal.screen)
    terminal.press(DOWN, "the cursor moves", lambda: b"file" in terminal.screen)
    terminal.press(F5, "the question", lambda: b"source mask" in terminal.screen)
    terminal.press(b"\r", "the copy", copied)
    terminal.press(F10, "the end", lambda: terminal.ended)
    sys.exit(terminal.status())


main()
