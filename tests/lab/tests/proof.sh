#!/bin/bash
# That copy_file_range(2) succeeds is no proof that the server copied: where it did not, that is found out, nothing is
# said to be offloaded, the bytes are right, and the server is asked no more.
. "$(dirname "$0")/../guest.sh"

file_servers="nfs smb"

size=$((4 << 20))

# How often the kernel was asked to copy into a file.
asked_for() { # NAME
    grep -cE "copy_file_range\([0-9]+<[^>]*>, [^,]*, [0-9]+<[^>]*/$1>" "$trace" || true
}

reasons() { # REASON...
    local reason
    for reason in "$@"; do
        ! grep -q "\"cause\": \"$reason\"" "$report" || return 0
    done
    fail "none of $*: $(cat "$report")"
}

# Two files by one process, out of FROM into TO, with the records of both.
copy_two() { # FROM TO
    make_source "$1/one" $size
    make_source "$1/two" $size
    mkdir -p "$2/copies"
    rm -f "$report"
    trace_preloaded -E OFFLOAD_REPORT="$report" busybox cp "$1/one" "$1/two" "$2/copies"
    grep -q '"offloaded": 0, ' "$report" || fail "no record says that nothing was offloaded: $(cat "$report")"
    ! grep -q '"offloaded": [1-9]' "$report" || fail "it says that something was offloaded: $(cat "$report")"
    drop_caches
    assert_same "$1/one" "$2/copies/one"
    assert_same "$1/two" "$2/copies/two"
}

# The kernel says that it copies, and moves the bytes itself.
found_out() { # FROM TO COMMAND THAT COPIES
    copy_two "$1" "$2"
    reasons server_failed server_cannot
    [ "$(asked_for one)" -gt 0 ] || fail "it was not tried: $(cat "$report")"
    [ "$(asked_for two)" -eq 0 ] || fail "it was tried again: $(grep copy_file_range "$trace")"
    # Another program finds the same.
    run_reported "${@:3}"
    assert_reported offloaded 0
    reasons server_failed server_cannot
    assert_same "$1/one" "$2/by-another"
}

not_tried() { # FROM TO REASON
    copy_two "$1" "$2"
    reasons "$3"
    [ "$(asked_for one)" -eq 0 ] || fail "it was tried: $(grep copy_file_range "$trace")"
}

# The same witness sees a server that copies, so that what it says above means something.
served() { # FROM TO
    make_source "$1/good" $size
    rm -f "$report"
    trace_preloaded -E OFFLOAD_REPORT="$report" dd if="$1/good" of="$2/good-copy" bs=128k status=none
    assert_reported offloaded $size
    [ "$(asked_for good-copy)" -gt 0 ] || fail "the kernel was not asked"
    assert_same "$1/good" "$2/good-copy"
}

nfs_cases() {
    on_nfs ext4 || fail "cannot mount ext4"
    served_by=$mount
    verdict "NFS 4.2 copies" served "$mount" "$mount"
    # Two clients' mounts of one export, each with pages of its own.
    on_nfs ext4 nosharecache || fail "cannot mount ext4 once more"
    verdict "between two mounts of one server" served "$served_by" "$mount"
    umount "$mount"
    mount -t nfs4 -o vers=4.1,nosharecache 127.0.0.1:/export/ext4 "$mount" || fail "cannot mount ext4 by NFS 4.1"
    verdict "NFS 4.1 has no COPY" found_out "$mount" "$mount" \
        dd if="$mount/one" of="$mount/by-another" bs=128k status=none
    verdict "from a local file to NFS" not_tried "$scratch" "$served_by" other_fs
}

smb_cases() {
    local nfs first
    on_nfs ext4 || fail "cannot mount ext4 by NFS"
    nfs=$mount
    on_smb xfs || fail "cannot mount xfs by SMB"
    first=$mount
    verdict "from NFS to SMB" not_tried "$nfs" "$first" other_fs
    verdict "from SMB to NFS" not_tried "$first" "$nfs" other_fs
    on_smb ext4 nosharesock || fail "cannot mount ext4 by SMB"
    verdict "two connections to one SMB server" found_out "$first" "$mount" \
        busybox cp "$first/one" "$mount/by-another"
}

on_file_servers "$file_servers" 4 3
