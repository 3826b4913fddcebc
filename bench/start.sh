#!/bin/bash
# What the start of a program costs, beside other preloaded libraries.
. "$(dirname "$0")/measure.sh"

# nocache prepares for each descriptor that the limit allows, so that a start takes milliseconds with few of them and a
# tenth of a second with 20,000.
ulimit -n 1024

libraries=()
for each in "${preloads[@]:1}"; do
    libraries+=("${each#*=}")
done

# Each round is the middle of fifty starts of each, in turn.
time_starts() {
    local round i times
    for ((round = 1; round <= 2 * rounds; round++)); do
        read -r -a times < <("$tree/tests/tools/starts" 1 "${libraries[@]}")
        for ((i = 0; i < ${#preloads[@]}; i++)); do
            value '/bin/true' "${preloads[i]%%=*}" $round "$(awk -v ns="${times[i]}" 'BEGIN { printf "%.9f", ns / 1e9 }')"
        done
    done
}

time_script() {
    local each pairs=()
    local commands=500 i
    [ -z "$quick" ] || commands=50
    for ((i = 0; i < commands; i++)); do
        echo "/bin/true"
    done >"$work/script"
    for each in "${preloads[@]}"; do
        pairs+=("${each%%=*}" "$(with "${each%%=*}" "sh $work/script")")
    done
    in_turn "a shell script with $commands commands" "${pairs[@]}"
}

count_start() {
    local each
    for each in "${preloads[@]}"; do
        value '/bin/true' "${each%%=*}" 1 "$(env -i PATH="$PATH" OFFLOAD_CONFIG=none LD_PRELOAD="${each#*=}" valgrind \
            --tool=callgrind --callgrind-out-file=/dev/null /bin/true 2>&1 | sed -n 's/.*Collected : *//p')"
    done
}

section "time of a start" s more "With a limit of 1024 descriptors (ulimit -n), for nocache's sake."
time_starts
time_script
section "instructions of a start" instructions more
count_start
