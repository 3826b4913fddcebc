#!/bin/bash
# What the lab does to its servers, its network and its disks does what it says.
. "$(dirname "$0")/../guest.sh"

seconds_of() { # COMMAND...: sets `took`, in hundredths of a second of the guest's clock
    local before after
    read -r before _ </proc/uptime
    "$@" >/dev/null
    read -r after _ </proc/uptime
    took=$((10#${after/./} - 10#${before/./}))
}

# The size is one that takes many requests, each of which has to wait.
slower() { # HOW TO SLOW DOWN...
    local quick
    make_source "$mount/slow" $((4 << 20))
    drop_caches
    seconds_of cat "$mount/slow"
    quick=$took
    "$@"
    drop_caches
    seconds_of cat "$mount/slow"
    [ "$took" -gt $((2 * quick)) ] || fail "it took $quick before, $took hundredths of a second now: $*"
}

quick_again() { # NOT SLOWED DOWN...
    local slow
    drop_caches
    seconds_of cat "$mount/slow"
    slow=$took
    "$@"
    drop_caches
    seconds_of cat "$mount/slow"
    [ $((2 * took)) -lt "$slow" ] || fail "it took $slow before, $took hundredths of a second now: $*"
}

goes_on() { # SERVER
    make_source "$mount/before"
    exec 5>>"$mount/open"
    restart_server "$1"
    cat "$mount/before" >&5
    exec 5>&-
    assert_same "$mount/before" "$mount/open"
    assert_same "$server_side/before" "$server_side/open"
}

stops() { # SERVER
    make_source "$mount/before"
    drop_caches
    stop_server "$1"
    ! limit=3 run_plain cat "$mount/before" >/dev/null || fail "there is no server, and it reads"
    start_server "$1"
    assert_same "$server_side/before" "$mount/before"
}

plan 7
slow_disk ext4 0
on_nfs ext4 || fail "cannot mount ext4"
verdict "a disk becomes slow" slower slow_disk ext4 50
verdict "a slow disk becomes quick" quick_again slow_disk ext4 0
verdict "the network becomes slow" slower slow_network delay 50ms
verdict "a slow network becomes quick" quick_again slow_network
verdict "an NFS client goes on where it was after its server was restarted" goes_on nfs
verdict "NFS stops with its server" stops nfs
on_smb xfs || fail "cannot mount xfs"
verdict "SMB goes on after its server was restarted" stops smb
