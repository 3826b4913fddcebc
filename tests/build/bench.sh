#!/bin/bash
# scripts/bench says in a line what it cannot do, and its report counts right.
. "$(dirname "$0")/../fixture.sh"

bench=$source_tree/scripts/bench

refuses() { # WORDS ARGUMENT...
    local words=$1 status=0
    shift
    "$bench" "$@" >"$scratch/out" 2>&1 || status=$?
    [ $status -eq 2 ] || fail "status $status: $(cat "$scratch/out")"
    [ "$(wc -l <"$scratch/out")" -eq 1 ] || fail "more than a line: $(cat "$scratch/out")"
    grep -qF -e "$words" "$scratch/out" || fail "it says: $(cat "$scratch/out")"
}

helps() {
    "$bench" --help >"$scratch/out"
    grep -q '^  *--quick ' "$scratch/out" || fail "no options"
    ! grep -q 'set -u' "$scratch/out" || fail "there is code in it"
}

# Values whose middles and ratios are known.
write_values() {
    printf 'section\tknown\ts\ttimes\t\n'
    local round
    for round in 1 2 3; do
        printf 'known\tfaster\tplain\t%d\t%d\nknown\tfaster\toffload\t%d\t%d\n' $round $((round * 4)) $round $((round * 2))
        printf 'known\tthe same\tplain\t%d\t1\nknown\tthe same\toffload\t%d\t0.%d\n' $round $round $((round * 7 % 10 + 1))
    done
    printf 'known\tthe same\tplain\t4\t1\nknown\tthe same\toffload\t4\t1.9\n'
    printf 'skip\tknown\tmissing\tit is not installed\n'
}

counts_right() {
    [ -x /usr/bin/python3 ] || skip "there is no Python"
    mkdir "$scratch/run"
    write_values >"$scratch/run/copy.tsv"
    "$source_tree/bench/report.py" "$scratch/run" copy >"$scratch/out" || fail "no report"
    grep -qE 'faster +8\.00 s +4\.00 s +2\.00 \(2\.00 to 2\.00\)$' "$scratch/out" || fail "$(cat "$scratch/out")"
    grep -qE 'the same .*, noise$' "$scratch/out" || fail "noise is not said: $(cat "$scratch/out")"
    grep -qF 'skipped: it is not installed' "$scratch/out" || fail "what is missing is not said"
    grep -qF '| faster | 8.00 s | 4.00 s | 2.00 (2.00 to 2.00) |' "$scratch/run/copy.md" || fail "$(cat "$scratch/run/copy.md")"
    [ -s "$scratch/run/copy.svg" ] || ! command -v gnuplot >/dev/null || fail "no plot"
}

plan 8
verdict "an unknown option" refuses "there is no option --fast" --fast
verdict "an unknown group" refuses "there is no group copies" copies
verdict "a size that is none" refuses "'huge' is no size" --size huge
verdict "a size that is too large" refuses "from 64M to 16G" --size 17G
verdict "an option without its argument" refuses "--size takes an argument" --size
verdict "too few rounds" refuses "there is no spread" --rounds 1
verdict "help" helps
verdict "the report of known values" counts_right
