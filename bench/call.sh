#!/bin/bash
# What one call costs, in a program that copies nothing and in one that copies, beside other preloaded libraries.
. "$(dirname "$0")/measure.sh"

call=$work/call
cc -std=gnu11 -D_GNU_SOURCE -O2 -o "$call" "$tree/bench/call.c" || exit

time_calls() {
    "$call" "$mount" "$rounds" "${preloads[@]}" | while read -r each; do
        line "$title" "$each"
    done
}

# Of a thousand turns: the difference of a long and a short run, each in a folder that is new.
counted() { # LIBRARY KIND SIZE COUNT
    rm -rf "$mount"/call-*
    env LD_PRELOAD="$1" valgrind --tool=callgrind --callgrind-out-file=/dev/null "$call" --once "$mount" "$2" "$3" "$4" \
        2>&1 >/dev/null | sed -n 's/.*Collected : *//p'
}

count_call() { # KIND SIZE
    local each short long
    for each in "${preloads[@]}"; do
        short=$(counted "${each#*=}" "$1" "$2" 200)
        long=$(counted "${each#*=}" "$1" "$2" 1200)
        [ -z "$short$long" ] || value "$1 $2" "${each%%=*}" 1 $(((long - short + 500) / 1000))
    done
}

section "time of a call" s more
mount_file_system xfs 2048 || {
    skip_row all "$why"
    exit
}
cd "$mount" || exit
time_calls
section "instructions of a call" instructions more
for kind in 'read 4096' 'write 4096' 'pread 4096' 'fread 1' 'fread 4096' 'lseek 1' 'fstat 1' \
    'pipe-write-and-read 4096' 'socket-write-and-read 4096' 'copy-read-and-write 4096'; do
    echo "  $kind" >&2
    # shellcheck disable=SC2086 # a kind and a size
    count_call $kind
    [ -z "$quick" ] || [ "$kind" != 'pread 4096' ] || break
done
