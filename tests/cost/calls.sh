#!/bin/bash
# What a hooked call costs a program that copies nothing: no system call more, and a few
# instructions, counted (not timed) from the difference of a long and a short run.
. "$(dirname "$0")/../fixture.sh"

program=$build/tests/tools/calls
bound=60
# A program that changes bytes in place makes the calls of a copy: each write is looked up among the reads, and
# now and then compared, ever more seldom.
bound_in_place=80
# What such programs may ask the kernel more, however long they run: whether a descriptor is a file, once each; and
# for each of the few comparisons, some fifteen calls.
calls_more_through_pipe=2
calls_more_vectors=2
calls_more_in_place=120

instructions() { # NAME COUNT [PRELOAD]
    limited env ${3:+LD_PRELOAD="$3"} valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        "$program" "$1" "$2" "$scratch/file" 2>&1 >/dev/null |
        sed -n 's/.*Collected : *//p'
}

a_turn() { # NAME [PRELOAD]
    local short long
    short=$(instructions "$1" 100 "${2-}")
    long=$(instructions "$1" 1100 "${2-}")
    [ -n "$short$long" ] || fail "valgrind counted nothing"
    echo $((long - short))
}

few_instructions() { # NAME HOOKED-CALLS
    local plain ours more limit=$bound
    [ "$1" != change-in-place ] || limit=$bound_in_place
    plain=$(a_turn "$1")
    ours=$(a_turn "$1" "$library")
    more=$(((ours - plain + $2 * 1000 - 1) / ($2 * 1000)))
    echo "$more instructions more a hooked call (the bound is $limit)"
    [ $more -lt "$limit" ] || fail "$1 costs too much"
}

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
plan $((2 * $(wc -l <"$scratch/turns")))
make_source "$scratch/file" 1048576
while read -r name hooked; do
    if command -v valgrind >/dev/null; then
        verdict "instructions of $name" few_instructions "$name" "$hooked"
    else
        verdict "instructions of $name" skip "valgrind is not installed"
    fi
    if command -v strace >/dev/null; then
        verdict "system calls of $name" same_system_calls "$name"
    else
        verdict "system calls of $name" skip "strace is not installed"
    fi
done <"$scratch/turns"
