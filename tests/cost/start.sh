#!/bin/bash
# What the library adds to a program's start in system calls, page faults and time; instructions.sh counts instructions.
# An empty preloaded library is the measure of the first two: that much is the dynamic linker's. Counts are the hard
# bounds; time has one too, but is given several tries, and more room where a start takes long without the library.
. "$(dirname "$0")/../fixture.sh"

bound=60 # microseconds more than plain
# Or, where that is more, per cent of a plain start: on some virtual machines a page fault alone takes 16 microseconds,
# of which an empty library costs seven.
slow_bound=20
fault_bound=5
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

few_faults() {
    local empty ours
    read -r _ empty ours < <("$build/tests/tools/starts" 1 "$scratch/empty.so" "$library" | tail -n 1)
    echo "$((ours - empty)) page faults more than an empty library (the bound is $fault_bound)"
    [ $((ours - empty)) -le $fault_bound ] || fail "too many"
}

short_time() {
    local plain ours try room
    for try in 1 2 3 4 5 6; do
        read -r plain ours < <("$build/tests/tools/starts" 6 "$library")
        ours=$(((ours - plain) / 1000)) plain=$((plain / 1000))
        room=$((bound > plain * slow_bound / 100 ? bound : plain * slow_bound / 100))
        echo "try $try: plain $plain us, ours $ours more (the bound is $room)"
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
plan 4
verdict "system calls of a start" few_calls
verdict "page faults of a start" few_faults
verdict "time of a start" short_time
verdict "a start with any setting" no_setting_harms
