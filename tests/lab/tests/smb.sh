#!/bin/bash
# The lab's SMB: its mounts work, its witnesses tell a copy by the server from one by the client, and a program that has
# the library loaded copies there as it does without.
. "$(dirname "$0")/../guest.sh"

size=$((16 << 20))

server_copies() {
    make_source "$mount/source" $size
    drop_caches
    moves_less_than $((size / 100)) "$mount" copy_by_server "$mount/source" "$mount/target"
    [ "$(smb_ioctls "$mount")" -gt 0 ] || fail "the client made no IOCTL"
    assert_same "$server_side/source" "$server_side/target"
    # What "copied" means is the server's affair.
    case $fs in
    ext4) assert_not_shared "$server_side/source" "$server_side/target" ;;
    *) assert_shared "$server_side/source" "$server_side/target" ;;
    esac
}

client_copies() {
    make_source "$mount/source" $size
    drop_caches
    moves_at_least $((2 * size)) "$mount" run_plain cp --reflink=never --sparse=never "$mount/source" "$mount/plain"
}

dd_copies() {
    make_source "$mount/source" $size
    run_preloaded dd if="$mount/source" of="$mount/dd" bs=1M status=none conv=fsync
    drop_caches
    assert_same "$mount/source" "$mount/dd"
    assert_same "$server_side/source" "$server_side/dd"
}

plan 9
for fs in xfs btrfs ext4; do
    on_smb $fs || fail "cannot mount $fs"
    verdict "the server copies, on $fs" server_copies
    verdict "what the client copies is seen, on $fs" client_copies
    verdict "dd has the same bytes, on $fs" dd_copies
done
