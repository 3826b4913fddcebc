#!/bin/bash
# What the library adds to a program's start in system calls and time; instructions.sh counts instructions. An empty
# preloaded library is the measure: that much is the dynamic linker's. Counts are the hard bounds; time has one too, but
# is given several tries, and more room on a machine that is slow at the empty library already.
. "$(dirname "$0")/../fixture.sh"

bound=60       # microseconds more than plain
empty_costs=36 # microseconds, where the bound was set
call_bound=40

compile_empty() {
    printf 'void offload_test_empty(void);\nvoid offload_test_empty(void)\n{\n}\n' >"$scratch/empty.c"
    # shellcheck disable=SC2086 # a compiler and its options
    ${OFFLOAD_TEST_CC:-cc} -shared -fPIC -O2 -o "$scratch/empty.so" "$scratch/empty.c"
}

count_calls() { # PRELOAD
    limited strace -f -qq -o "$trace" -E LD_PRELOAD="$1" true
    wc -l <"$trace"
}

few_calls() {
    command -v strace >/dev/null || skip "strace is not installed"
    local empty ours
    empty=$(count_calls "$scratch/empty.so")
    ours=$(count_calls "$library")
    echo "$((ours - empty)) system calls more than an empty library (the bound is $call_bound)"
    [ $((ours - empty)) -le $call_bound ] || fail "too many: $(calls)"
}

short_time() {
    local plain empty ours try room
    for try in 1 2 3 4 5 6; do
        read -r plain empty ours < <("$build/tests/tools/starts" 6 "$scratch/empty.so" "$library")
        empty=$(((empty - plain) / 1000))
        ours=$(((ours - plain) / 1000))
        room=$((bound > bound * empty / empty_costs ? bound : bound * empty / empty_costs))
        echo "try $try: plain $((plain / 1000)) us, an empty library $empty more, ours $ours more (the bound is $room)"
        [ $ours -gt $room ] || return 0
    done
    fail "the start takes too long"
}

no_setting_harms() {
    for setting in OFFLOAD=off OFFLOAD=perhaps OFFLOAD_REPORT=/nowhere/at/all OFFLOAD_ENGINES=; do
        run_preloaded env "$setting" true 2>/dev/null || fail "true failed with $setting"
    done
}

compile_empty || skip_all "there is no compiler"
plan 3
verdict "system calls of a start" few_calls
verdict "time of a start" short_time
verdict "a start with any setting" no_setting_harms
