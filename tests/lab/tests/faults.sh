#!/bin/bash
# What goes wrong on the way: the program is told what its plain calls would have told it, and no byte is wrong.
. "$(dirname "$0")/../guest.sh"

file_servers="nfs"

size=$((6 << 20)) block=131072

# The server is gone while the program stands still, and is back before it goes on or a moment later.
restarted() { # PAUSE WHEN
    local line copier_process
    rm -f "$mount/target"
    drop_caches
    coproc copier { run_reported "$paced" "$mount/source" "$mount/target" "$scratch/written" $block "$1"; }
    # shellcheck disable=SC2154 # coproc sets it, until the process has ended
    copier_process=$copier_PID
    read -r line <&"${copier[0]}"
    [ "$line" = "$1" ] || fail "it said $line"
    if [ "$2" = before ]; then
        restart_server nfs
        echo >&"${copier[1]}"
    else
        stop_server nfs
        echo >&"${copier[1]}"
        sleep 1
        start_server nfs
    fi
    while read -r -t 100 line <&"${copier[0]}"; do
        [[ $line == longest* ]] || fail "the program was given an error: $line"
        break
    done
    wait "$copier_process" || fail "it ended with $?"
    assert_same "$server_side/source" "$scratch/written"
    drop_caches
    assert_same "$scratch/written" "$server_side/target"
}

restarts() {
    restarted w10 before
    restarted r40 while
}

# What a run with a server that never comes back says, and whether it ends.
without_server() { # HOW
    local line copier_process
    rm -f "$mount/target"
    drop_caches
    : >"$scratch/said"
    coproc copier { limit=90 "$1" "$paced" "$mount/source" "$mount/target" "$scratch/written" $block w20; }
    # shellcheck disable=SC2154 # coproc sets it, until the process has ended
    copier_process=$copier_PID
    read -r line <&"${copier[0]}"
    [ "$line" = w20 ] || fail "it said $line"
    # What is left to be written back takes the client seconds to give up.
    sync
    stop_server nfs
    echo >&"${copier[1]}"
    while read -r -t 90 line <&"${copier[0]}"; do
        [[ $line == longest* ]] || echo "$line" >>"$scratch/said"
        [[ $line != longest* ]] || break
    done
    start_server nfs
    status=0
    wait "$copier_process" || status=$?
}

soft_mount() {
    local plain_status
    without_server run_plain
    plain_status=$status
    cp "$scratch/said" "$scratch/plain-said"
    without_server run_reported
    echo "plain: $plain_status, $(cat "$scratch/plain-said"); preloaded: $status, $(cat "$scratch/said")"
    [ $plain_status -eq 1 ] || fail "the test itself is wrong: the plain run ended with $plain_status"
    [ "$status" -eq 1 ] || fail "the program was not told: $(cat "$report")"
    grep -qE 'EIO|ETIMEDOUT' "$scratch/said" || fail "not with this error"
    drop_caches
    sleep 1
    # What is there of what it was told to be written is right, or is not there.
    cmp -n "$(stat -c %s "$server_side/target")" "$server_side/source" "$server_side/target"
}

# All but 3 MiB of the server's file system, what it reserves for itself and for root included.
fill() {
    local piece at=0
    fallocate -l 3M "$server_side/spare"
    for piece in $((1 << 30)) $((64 << 20)) $((4 << 20)) $((256 << 10)) 4096; do
        while fallocate -o $at -l $piece "$server_side/fill" 2>/dev/null; do
            at=$((at + piece))
        done
    done
    rm "$server_side/spare"
    sync
}

# The same error of the same program, and the same size of what it leaves.
full() { # COMMAND...
    local way
    rm -f "$server_side/fill" "$mount"/target* "$server_side"/target*
    sync
    fill
    for way in plain preloaded; do
        rm -f "$mount/target"
        sync
        status=0
        "run_$way" "$@" >"$scratch/$way.said" 2>&1 || status=$?
        sed -i 's/, [0-9.e-]* s, .*//' "$scratch/$way.said"
        echo "status $status" >>"$scratch/$way.said"
        sync
        stat -c 'size %s' "$server_side/target" >"$scratch/$way.size"
        # As far as the program has been told that it was written.
        cmp -n "$(sed -n 's/^\([0-9]*\) bytes.*/\1/p' "$scratch/$way.said" | grep . || echo 0)" \
            "$server_side/source" "$server_side/target" || fail "the bytes differ, $way"
    done
    rm -f "$server_side/fill" "$mount/target"
    cat "$scratch"/*.size
    diff "$scratch/plain.said" "$scratch/preloaded.said"
}

full_disk() {
    full dd if="$mount/source" of="$mount/target" bs=128k oflag=sync
    ! grep -q 'status 0' "$scratch/plain.said" || fail "the test itself is wrong: the plain run found room"
    diff "$scratch/plain.size" "$scratch/preloaded.size"
    full busybox cp "$mount/source" "$mount/target"
}

# strace makes the Nth of the library's own calls fail, each in a copy of its own.
injected() { # CALL ERROR COMMAND...
    local turn
    for turn in 1 2; do
        rm -f "$mount/target"
        run_reported strace -f --seccomp-bpf -qq -o "$trace" -e trace="$1" -e inject="$1:error=$2:when=$turn" \
            "${@:3}" || fail "$3 ended with $?: $1, $2, $turn"
        # The copy may have had no need of so many; the first, always.
        [ $turn -gt 1 ] || grep -q INJECTED "$trace" || fail "$1 was not called"
        cmp "$mount/source" "$mount/target" || fail "the bytes are wrong: $1, $2, $turn, $(cat "$report")"
        cmp "$server_side/source" "$server_side/target" || fail "the server's bytes are wrong: $1, $2, $turn"
    done
}

nfs_injections() {
    local dd=(dd if="$mount/source" of="$mount/target" bs=128k status=none)
    # Where the server shares, it is not asked to copy.
    if [ "$fs" != xfs ]; then
        injected copy_file_range EIO "${dd[@]}"
        injected copy_file_range ENOSPC "${dd[@]}"
    fi
    injected ioctl EIO "${dd[@]}"
    injected statx ESTALE "${dd[@]}"
    injected utimensat EIO "${dd[@]}"
}

smb_injections() {
    injected copy_file_range EIO busybox cp "$mount/source" "$mount/target"
    injected copy_file_range ENOSPC busybox cp "$mount/source" "$mount/target"
    injected ioctl EIO busybox cp "$mount/source" "$mount/target"
}

# The library cuts the destination back when the program stops half way; where it may not, nothing is worse than that.
half_way() {
    rm -f "$mount/target"
    run_reported strace -f --seccomp-bpf -qq -o "$trace" -e trace="$1" -e inject="$1:error=EIO:when=$2" \
        dd if="$mount/source" of="$mount/target" bs=128k count=20 status=none || fail "dd ended with $?"
    grep -q INJECTED "$trace" || fail "$1 was not called $2 times"
    drop_caches
    cmp -n $((20 * block)) "$server_side/source" "$server_side/target"
}

half_ways() {
    half_way statx 4
    half_way statx 8
    # Where the server shares, it is not asked to copy.
    [ "$fs" = xfs ] || half_way copy_file_range 2
    half_way ioctl 1
    [ "$(stat -c %s "$server_side/target")" -eq $((20 * block)) ] ||
        fail "it is $(stat -c %s "$server_side/target") long"
}

nfs_cases() {
    for fs in xfs ext4; do
        on_nfs $fs || fail "cannot mount $fs"
        make_source "$server_side/source" $size
        verdict "the server is restarted in mid copy, $fs" restarts
        verdict "calls of the library fail, NFS of $fs" nfs_injections
        verdict "calls of the library fail, and the program stops half way, NFS of $fs" half_ways
    done
    verdict "a full file system, NFS of ext4" full_disk
    on_nfs ext4 soft,timeo=5,retrans=1,nosharecache || fail "cannot mount ext4"
    verdict "soft mount, and the server does not come back" soft_mount
}

smb_cases() {
    fs=ext4
    on_smb $fs || fail "cannot mount $fs"
    make_source "$server_side/source" $size
    verdict "calls of the library fail, SMB of $fs" smb_injections
    verdict "a full file system, SMB of $fs" full_disk
}

on_file_servers "$file_servers" 8 2
