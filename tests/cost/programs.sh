#!/bin/bash
# Real programs that copy nothing make exactly the system calls that they make without the library,
# once they have been started.
. "$(dirname "$0")/../fixture.sh"
need strace

# The start itself differs: the library is opened and mapped, and reads its environment. A library
# that does nothing shows what any preload costs there; how much ours may add is for start.sh.
with_library() { # PRELOAD COMMAND...
    local preload=$1
    shift
    limited strace -f -qq -o "$trace" ${preload:+-E LD_PRELOAD="$preload"} "$@" >"$scratch/out" 2>&1 </dev/null ||
        fail "$1 failed: $(tail -n 3 "$scratch/out")"
}

start_calls() { # PRELOAD
    with_library "$1" true
    calls >"$scratch/start"
}

# The calls of a run, less those of a start alone: "name count" a line. What allocates moves with
# the layout of memory, and is nobody's business.
less_start() {
    calls | grep -vE '^(brk|mmap|munmap|mprotect) ' >"$scratch/run"
    awk 'NR == FNR { start[$1] = $2; next } { print $1, $2 - start[$1] }' "$scratch/start" "$scratch/run" |
        awk '$2 != 0'
}

same_calls() { # COMMAND...
    local way preload
    command -v "$1" >/dev/null || skip "$1 is not installed"
    for way in plain ours; do
        preload=
        [ $way = plain ] || preload=$library
        start_calls "$preload"
        with_library "$preload" "$@"
        less_start >"$scratch/$way.calls"
    done
    [ -s "$scratch/plain.calls" ] || fail "nothing was traced"
    diff -u "$scratch/plain.calls" "$scratch/ours.calls" || fail "$1 makes other system calls"
}

make_source "$scratch/file" 2097152
plan 9
verdict "ls" same_calls ls -la /usr/bin
verdict "cut" same_calls cut -c1-5 "$scratch/file"
verdict "wc" same_calls wc "$scratch/file"
verdict "sort" same_calls sort --parallel=1 -o "$scratch/sorted" "$scratch/file"
verdict "grep" same_calls grep -c Quick "$scratch/file"
verdict "sed" same_calls sed -n 's/Quick/quick/w '"$scratch/changed" "$scratch/file"
verdict "gzip" same_calls gzip -c "$scratch/file"
verdict "find" same_calls find /usr/share/doc -maxdepth 1
verdict "cksum" same_calls cksum "$scratch/file"
