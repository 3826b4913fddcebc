#!/bin/bash
# A hooked call of a program that copies nothing makes no system call more. What it costs in instructions is for
# instructions.sh.
. "$(dirname "$0")/../fixture.sh"
need strace

program=$build/tests/tools/calls
# What programs that write from a buffer just read may ask the kernel more, however long they run: whether a descriptor
# is a file, once each; and, where they have changed the bytes in place, some fifteen calls for each of the few
# comparisons.
calls_more_through_pipe=2
calls_more_vectors=4
calls_more_in_place=400

after_start() {
    sed -n '/the-calls-begin-here/,$p' "$trace" | sed -E 's/^[0-9]+ +//; s/0x[0-9a-f]+/ADDRESS/g; s/pipe:\[[0-9]+\]/PIPE/g'
}

few_more() { # NAME
    local more allowed=0
    case $1 in
    through-pipe) allowed=$calls_more_through_pipe ;;
    vectors) allowed=$calls_more_vectors ;;
    change-in-place) allowed=$calls_more_in_place ;;
    esac
    ! grep -q '^-[^-]' "$scratch/more" || return 1
    more=$(grep -c '^+[^+]' "$scratch/more")
    [ $allowed -eq 0 ] || echo "$more system calls more in all (the bound is $allowed)"
    [ "$more" -le $allowed ]
}

same_system_calls() { # NAME
    trace_plain "$program" "$1" 300 "$scratch/file"
    after_start >"$scratch/plain.trace"
    trace_preloaded "$program" "$1" 300 "$scratch/file"
    after_start >"$scratch/ours.trace"
    [ -s "$scratch/plain.trace" ] || fail "the mark is not in the trace"
    diff -u0 "$scratch/plain.trace" "$scratch/ours.trace" >"$scratch/more" || few_more "$1" ||
        fail "$1 made other system calls: $(head -n 12 "$scratch/more")"
}

"$program" --list >"$scratch/turns"
plan "$(wc -l <"$scratch/turns")"
make_source "$scratch/file" 1048576
while read -r name _; do
    verdict "system calls of $name" same_system_calls "$name"
done <"$scratch/turns"
