#!/bin/bash
# A copy that is interrupted: the process is gone within a second, and what it leaves is the source's beginning, at
# least as far as the program has said that it wrote.
. "$(dirname "$0")/../guest.sh"

file_servers="nfs"

size=$((4 << 20))

# Starts COMMAND in the background as a terminal would: bash has its own ignore SIGINT. Sets `copier`.
start() { # COMMAND...
    env --default-signal=INT "$@" 2>"$scratch/said" &
    copier=$!
}

gone() {
    local state
    ! read -r _ _ state _ 2>/dev/null <"/proc/$copier/stat" || [[ $state == [ZX] ]]
}

# Sets `took`, the milliseconds of the guest's clock until the process has ended, or 10000 if it does not; and `gap`,
# the longest time in between two looks: where that is long, the guest itself was stalled, and `took` is no witness.
wait_for_end() {
    local began now last
    began=$(guest_now) last=$began gap=0 took=0
    until gone || [ "$took" -ge 10000 ]; do
        sleep 0.01
        now=$(guest_now)
        [ $((now - last)) -le "$gap" ] || gap=$((now - last))
        last=$now took=$((now - began))
    done
}

# Whether it ended within a second; fails if it did not, and the guest was not stalled.
in_time() {
    [ "$took" -gt 1000 ] || return 0
    [ "$gap" -ge 300 ] || fail "it took $took ms to end, the longest gap being $gap: $(cat "$scratch/said")"
    return 1
}

# What is there is the source's, and at least as much as dd says.
prefix() { # TARGET
    local there said
    there=$(stat -c %s "$1")
    said=$(sed -n 's/^\([0-9]*\) bytes.*/\1/p' "$scratch/said" | tail -n 1)
    [ "$there" -ge "${said:-0}" ] || fail "dd said $said bytes, and $there are there"
    [ "$there" -le "$(stat -c %s "$server_side/source")" ] || fail "there are $there bytes"
    cmp -n "$there" "$server_side/source" "$1"
}

# Sets `status`, with which the process ended, or `stalled`.
interrupt_after() { # SECONDS SIGNAL COMMAND...
    local seconds=$1 signal=$2 took gap
    shift 2
    rm -f "$mount/target"
    start "$@"
    sleep "$seconds"
    kill -"$signal" "$copier" 2>/dev/null || true
    wait_for_end
    in_time || stalled=yes
    status=0
    wait "$copier" 2>/dev/null || status=$?
    if [ -e "$mount/target" ]; then
        sync "$mount/target"
        prefix "$server_side/target"
    fi
}

# At moments over the time that an undisturbed copy takes.
interrupted() { # TIMES SIGNAL COMMAND...
    local times=$1 signal=$2 i=0 whole moment status stalled met=0 again=0
    shift 2
    cat "$mount/source" >/dev/null
    rm -f "$mount/target"
    whole=$(guest_now)
    "$@" 2>/dev/null
    whole=$(($(guest_now) - whole))
    while [ $i -lt "$times" ]; do
        moment=$((whole * (2 * i + 1) / (2 * times)))
        stalled=
        interrupt_after "$((moment / 1000)).$(printf %03d $((moment % 1000)))" "$signal" "$@"
        if [ -z "$stalled" ]; then
            i=$((i + 1))
            [ "$status" -lt 128 ] || met=$((met + 1))
        else
            again=$((again + 1))
            [ $again -lt 5 ] || skip "the guest is stalled too often"
        fi
    done
    echo "an undisturbed copy takes $whole ms; $met of $times were interrupted"
    [ $met -ge $((times / 2)) ] || skip "the copies were over before they could be interrupted"
}

# Of a source that is in the client's cache, so that what takes the time is the server's copy.
dd_interrupted() { # TIMES SIGNAL
    interrupted "$@" env LD_PRELOAD="$library" dd if="$mount/source" of="$mount/target" bs=128k
}

busybox_interrupted() { # TIMES SIGNAL
    interrupted "$@" env LD_PRELOAD="$library" busybox cp "$mount/source" "$mount/target"
}

# Starts paced, as start does, so that it stands at the PAUSEs. Sets `copier`; its words come from ${paced_copy[0]}.
start_paced() { # "PACED'S OPTIONS AND PAUSES" COMMAND...
    local options pauses=() argument
    options=()
    for argument in $1; do
        case $argument in
        -*) options+=("$argument") ;;
        *) pauses+=("$argument") ;;
        esac
    done
    shift
    rm -f "$mount/target"
    coproc paced_copy {
        exec env --default-signal=INT "$@" "$paced" "${options[@]}" "$mount/source" "$mount/target" \
            "$scratch/written" 131072 "${pauses[@]}"
    }
    # shellcheck disable=SC2154 # coproc sets it
    copier=$paced_copy_PID
}

wait_for_pause() { # PAUSE
    local line
    while IFS= read -r -t 60 line <&"${paced_copy[0]}"; do
        [ "$line" != "$1" ] || return 0
        echo "$line" >>"$scratch/said"
    done
    fail "it did not come to $1: $(cat "$scratch/said")"
}

# SIGINT that the program handles reaches it; it goes on, and the copy is whole.
handled() {
    local pause status=0
    : >"$scratch/said"
    cat "$mount/source" >/dev/null
    start_paced "-s w1 w6 w11 w16" LD_PRELOAD="$library" OFFLOAD_REPORT="$report"
    for pause in w1 w6 w11 w16; do
        wait_for_pause $pause
        echo >&"${paced_copy[1]}"
        kill -INT "$copier"
    done
    cat <&"${paced_copy[0]}" >>"$scratch/said"
    wait "$copier" || status=$?
    [ $status -eq 0 ] || fail "it ended with status $status: $(cat "$scratch/said")"
    [ "$(grep -c interrupted "$scratch/said")" -eq 4 ] ||
        fail "its handler was not called each time: $(cat "$scratch/said")"
    assert_reported engine server
    assert_same "$server_side/source" "$scratch/written"
    assert_same "$server_side/source" "$server_side/target"
}

waits_in_kernel() {
    local state
    read -r _ _ state _ <"/proc/$copier/stat" && [ "$state" = D ]
}

# And not in passing.
waits_long() {
    waits_in_kernel && sleep 0.3 && waits_in_kernel
}

# A signal that comes in the middle of a call of the library that takes seconds ends the process all the same: the
# program's own calls would end then. By now there is nothing left to be written back, which an end would wait for.
in_a_step() { # SIGNAL
    local took gap status=0
    : >"$scratch/said"
    cat "$mount/source" >/dev/null
    start_paced w20 LD_PRELOAD="$library"
    wait_for_pause w20
    sync
    slow_disk ext4 1500
    echo >&"${paced_copy[1]}"
    wait_for waits_long || fail "no call takes long: $(cat "$scratch/said")"
    kill -"$1" "$copier"
    wait_for_end
    slow_disk ext4 0
    wait "$copier" 2>/dev/null || status=$?
    echo "$took ms"
    [ $status -gt 128 ] || fail "it ended with status $status: $(cat "$scratch/said")"
    drop_caches
    prefix "$server_side/target"
    in_time || skip "the guest was stalled"
}

slow_server() {
    slow_network delay 2ms
    slow_disk ext4 5
}

nfs_cases() {
    slow_disk ext4 0
    on_nfs ext4 || fail "cannot mount ext4"
    make_source "$server_side/source" $size
    slow_server
    verdict "dd on a slow server, SIGINT" dd_interrupted 8 INT
    verdict "dd on a slow server, SIGKILL" dd_interrupted 3 KILL
    verdict "a program that handles SIGINT" handled
    slow_network
    slow_disk ext4 0
    make_source "$server_side/source" $((2 * size))
    verdict "SIGINT in a step of the server" in_a_step INT
    verdict "SIGKILL in a step of the server" in_a_step KILL
}

smb_cases() {
    [ -e /dev/mapper/slow-ext4 ] || slow_disk ext4 0
    on_smb ext4 closetimeo=30 || fail "cannot mount ext4"
    make_source "$server_side/source" $size
    slow_server
    verdict "busybox cp on a slow SMB server, SIGINT" busybox_interrupted 4 INT
    verdict "busybox cp on a slow SMB server, SIGKILL" busybox_interrupted 3 KILL
}

on_file_servers "$file_servers" 5 2
