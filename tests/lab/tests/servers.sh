#!/bin/bash
# What the lab does to its servers, its network and its disks does what it says.
. "$(dirname "$0")/../guest.sh"

milliseconds_of() { # COMMAND...: sets `took`, by the guest's clock
    local before after
    read -r before _ </proc/uptime
    "$@" >/dev/null
    read -r after _ </proc/uptime
    took=$(((10#${after/./} - 10#${before/./}) * 10))
}

# Nothing that keeps the machine busy can make it quicker than this.
takes_at_least() { # MILLISECONDS HOW TO SLOW DOWN...
    local least=$1
    shift
    make_source "$mount/slow" 4096
    drop_caches
    "$@"
    milliseconds_of cat "$mount/slow"
    [ "$took" -ge "$least" ] || fail "it took $took ms only: $*"
}

# How long it takes then depends on the machine: the kernel is asked instead.
disk_is_quick() {
    [[ $(dmsetup table slow-ext4) != *' 0 0' ]] || fail "it has not been slow"
    slow_disk ext4 0
    [[ $(dmsetup table slow-ext4) == *' 0 0' ]] || fail "the disk is as it was: $(dmsetup table slow-ext4)"
    assert_same "$server_side/slow" "$mount/slow"
}

network_is_quick() {
    tc qdisc show dev lo | grep -q netem || fail "it has not been slow"
    # shellcheck disable=SC2119
    slow_network
    ! tc qdisc show dev lo | grep netem || fail "the network is as it was"
    assert_same "$server_side/slow" "$mount/slow"
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
verdict "a disk becomes slow" takes_at_least 3000 slow_disk ext4 3000
verdict "a slow disk becomes quick" disk_is_quick
verdict "the network becomes slow" takes_at_least 3000 slow_network delay 1500ms
verdict "a slow network becomes quick" network_is_quick
verdict "an NFS client goes on where it was after its server was restarted" goes_on nfs
verdict "NFS stops with its server" stops nfs
on_smb xfs || fail "cannot mount xfs"
verdict "SMB goes on after its server was restarted" stops smb
