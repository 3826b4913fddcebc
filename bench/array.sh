#!/bin/bash
# In the guest lab (docs/lab.md): copies on file servers, and between disks that copy by themselves, beside the tools that
# ask them to. The guest's processor is emulated: believe the bytes, and the times only beside each other.
. "$(dirname "$0")/measure.sh"

# The lab runs what is among its tests; there these are in a copy of it.
make_lab() {
    mkdir -p "$work/lab"
    tar -C "$tree" -c --exclude='*.o' --exclude=.libs --exclude='*.log' tests | tar -C "$work/lab" -x &&
        cp "$tree"/bench/lab/*.sh "$work/lab/tests/lab/tests/"
}

run_lab() { # TEST
    OFFLOAD_TEST_BUILD=$tree OFFLOAD_TEST_SOURCE=$work/lab OFFLOAD_LAB_LIMIT=2400 OFFLOAD_LAB_MEMORY=3072 "$work/lab/tests/lab/run" "$1" \
        >"$work/$1" 2>"$work/$1.errors" &
    lab=$!
    wait $lab
}
# A signal is heard while the lab runs.
lab=
# shellcheck disable=SC2016 # it is for the end
at_end+=('[ -z "$lab" ] || { kill $lab 2>/dev/null; wait $lab; }')

# The lines of values are among the verdicts' own.
take() { # TEST FIELD SECTION UNIT SHOWN [ABOUT]
    local test=$1 field=$2
    shift 2
    section "$@"
    sed -n 's/^# *bench:\t//p' "$work/$test" | while IFS=$'\t' read -r row way round seconds bytes commands; do
        case $field in
        seconds) value "$row" "$way" "$round" "$seconds" ;;
        bytes) value "$row" "$way" "$round" $((bytes / 1024)) ;;
        commands) [ "$commands" = 0 ] || value "$row" "$way" "$round" "$commands" ;;
        esac
    done
    sed -n 's/^not ok [0-9]* - [^:]*: //p' "$work/$test" | while read -r name; do
        skip_row "$name" "it failed: $(grep -A3 "^not ok .*$name" "$work/$test" | sed -n 's/^# //p' | tail -n 1)"
    done
    grep -q 'bench:' "$work/$test" || skip_row all "the guest did not run: $(tail -n 1 "$work/$test.errors")"
}

make_lab || exit
for test in servers disks; do
    echo "  $test" >&2
    run_lab bench-$test || true
    cp "$work/bench-$test" "$BENCH_OUT/lab-$test.log"
done
take bench-servers seconds "16 MiB on file servers" s times
take bench-servers bytes "16 MiB on file servers, over the wire" KiB alone
take bench-disks seconds "on disks that copy by themselves" s times
take bench-disks bytes "on disks that copy by themselves, moved by this machine" KiB alone
take bench-disks commands "on disks that copy by themselves, commands to copy" "" alone
