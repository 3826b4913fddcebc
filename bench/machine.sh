#!/bin/bash
# machine.sh OUT SIZE ROUNDS QUICK: what was measured on, by what, and how, as a table of Markdown.
set -u

version() { # PACKAGE
    dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo "not there"
}

row() { # NAME VALUE
    echo "| $1 | $2 |"
}

tree=$(cd "$(dirname "$0")/.." && pwd)
echo "| | |"
echo "|---|---|"
row "when" "$(date -u '+%Y-%m-%d %H:%M UTC')"
row "kernel" "$(uname -sr), $(uname -m)"
row "processor" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) of them"
row "memory" "$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024 / 1024)) GiB"
row "load when it began" "$(cut -d ' ' -f 1-3 /proc/loadavg)"
row "system" "$(. /etc/os-release && echo "$PRETTY_NAME"), libc $(getconf GNU_LIBC_VERSION)"
row "library" "$(git -C "$tree" describe --always --dirty 2>/dev/null || sed -n 's/^## //p' "$tree/CHANGELOG.md" | head -n 1)"
row "built with" "$(sed -n 's/^CC = //p; s/^CFLAGS = //p' "$tree/Makefile" | paste -s -d ' '), $(cc -dumpfullversion)"
row "coreutils, busybox, Python, Perl" "$(version coreutils), $(version busybox), $(version python3), $(version perl)"
row "PostgreSQL, ddpt" "$(version postgresql), $(version ddpt)"
row "libeatmydata, nocache" "$(version eatmydata), $(version nocache)"
row "hyperfine, valgrind" "$(version hyperfine), $(version valgrind)"
row "largest copy" "$2 MiB"
row "rounds" "$3 at most${4:+, quick}"
