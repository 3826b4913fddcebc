#!/bin/bash
# A copy that a slow server makes: progress is steady as dd and others show it, and no call holds the program up for
# long.
. "$(dirname "$0")/../guest.sh"

file_servers="nfs"

size=$((8 << 20))
# In milliseconds, of the guest's clock.
most=2000

# The longest of the calls that strace saw, in milliseconds.
longest_call() {
    sed -n 's/.*<\([0-9]*\.[0-9]*\)>$/\1/p' "$trace" | sort -n | tail -n 1 | awk '{ printf "%.0f\n", $1 * 1000 }'
}

no_call_is_long() { # COMMAND...
    local longest
    rm -f "$mount/target"
    run_reported strace -f -y -qq -T -s 16 -o "$trace" "$@"
    assert_reported offloaded $size
    longest=$(longest_call)
    echo "the longest call took $longest ms, $(grep -c copy_file_range "$trace") steps"
    [ "$longest" -le $most ] || fail "$(grep -E '<([2-9]|[0-9]{2,})\.[0-9]*>$' "$trace")"
}

# As the program itself takes the time of its reads and writes: what the library does in each is in it.
no_hook_is_long() {
    local longest
    rm -f "$mount/target"
    run_reported "$paced" "$mount/source" "$mount/target" "$scratch/written" 131072 >"$scratch/said"
    longest=$(sed -n 's/^longest //p' "$scratch/said")
    echo "the longest call took $longest ms"
    [ "$longest" -le $most ] || fail "$(cat "$report")"
    assert_reported offloaded $size
}

# Numbers that only grow, none of which comes long after the one before. SAMPLES has lines "MILLISECONDS BYTES".
steady() { # SAMPLES
    awk -v size=$size -v most=$most '
        NR == 1 { begun = since = $1 }
        $2 < bytes { print "it went back: " $0; bad = 1 }
        $2 == bytes && $2 < size { if ($1 - since > most) { print "nothing new for " $1 - since " ms: " $0; bad = 1 } }
        $2 != bytes || NR == 1 { since = $1; bytes = $2; steps++ }
        END { print steps " steps in " $1 - begun " ms"; exit bad || !steps }' "$1"
}

# While PROCESS runs, a line "MILLISECONDS BYTES" for each look; LOOK prints the bytes.
sample() { # PROCESS LOOK...
    local process=$1
    shift
    while kill -0 "$process" 2>/dev/null; do
        echo "$(guest_now) $("$@")"
        sleep 0.1
    done | awk 'NF == 2' >"$scratch/samples"
}

# As progress(1) and pv -d find it out: how far dd is in what it writes to.
offset_of_dd() {
    local offset
    ! read -r _ offset 2>/dev/null <"/proc/$copier/fdinfo/1" || echo "$offset"
}

# dd answers to each signal at its next turn.
ask_dd() {
    kill -USR1 "$copier" 2>/dev/null || true
    sed -n '$s/^\([0-9]*\) bytes.*/\1/p' "$scratch/dd"
}

dd_shows() { # LOOK
    local copier
    rm -f "$mount/target"
    env LD_PRELOAD="$library" OFFLOAD_REPORT="$report" dd if="$mount/source" of="$mount/target" bs=128k \
        2>"$scratch/dd" &
    copier=$!
    # By then it handles the signal.
    wait_for test -s "$mount/target"
    sample $copier "$1"
    wait $copier || fail "dd ended with $?"
    steady "$scratch/samples" || fail "$(cat "$scratch/samples" "$report")"
    assert_reported engine server
    assert_same "$mount/source" "$mount/target"
}

slow_server() {
    make_source "$server_side/source" $size
    cat "$mount/source" >/dev/null
    slow_disk ext4 15
    slow_network delay 1ms rate 400mbit
}

nfs_cases() {
    slow_disk ext4 0
    on_nfs ext4 || fail "cannot mount ext4"
    slow_server
    verdict "no system call is long, NFS" in_one_of_three no_call_is_long \
        dd if="$mount/source" of="$mount/target" bs=128k status=none
    verdict "no read or write is long, NFS" in_one_of_three no_hook_is_long
    verdict "dd and SIGUSR1, NFS" in_one_of_three dd_shows ask_dd
    verdict "the offset of dd's file, NFS" in_one_of_three dd_shows offset_of_dd
    slow_network
    slow_disk ext4 0
}

smb_cases() {
    [ -e /dev/mapper/slow-ext4 ] || slow_disk ext4 0
    on_smb ext4 closetimeo=30 || fail "cannot mount ext4"
    slow_server
    verdict "no system call is long, SMB" in_one_of_three no_call_is_long \
        busybox cp "$mount/source" "$mount/target"
}

on_file_servers "$file_servers" 4 1
