#!/usr/bin/env python3
"""Types lines into an interactive shell on a terminal of its own, has each completed, and prints what became of it.

    type.py PROMPT SHELL [ARGUMENT]... < LINES

The shell must show PROMPT when it is ready, put all completions into the line at C-x a, and print the line between
@@< and >@@ at C-x p. One line of output for each of LINES.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios

LIMIT = 30  # seconds without a byte: the shell hangs


def read_until(terminal, pattern):
    seen = b""
    while not (found := re.search(pattern, seen, re.S)):
        if not select.select([terminal], [], [], LIMIT)[0]:
            sys.exit(f"nothing more came; so far: {seen!r}")
        try:
            more = os.read(terminal, 65536)
        except OSError:
            sys.exit(f"the shell ended; it said: {seen!r}")
        seen += more
    return found


def main():
    prompt, command = sys.argv[1].encode(), sys.argv[2:]
    shell, terminal = pty.fork()
    if shell == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 2000, 0, 0))
    try:
        read_until(terminal, re.escape(prompt))
        for line in sys.stdin.read().splitlines():
            os.write(terminal, line.encode() + b"\x18a\x18p")
            shown = read_until(terminal, rb"@@<(.*?)>@@").group(1)
            print(shown.decode().rstrip())
            # A line that does nothing, and its prompt.
            os.write(terminal, b"\x18k")
            read_until(terminal, re.escape(prompt))
    finally:
        os.kill(shell, signal.SIGKILL)
        os.waitpid(shell, 0)


main()
