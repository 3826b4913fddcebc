#!/bin/bash
# The lab's NFS: its mounts work, its witnesses tell a copy by the server from one by the client, and a program that has
# the library loaded copies there as it does without.
. "$(dirname "$0")/../guest.sh"

size=$((16 << 20))

server_copies() {
    make_source "$mount/source" $size
    drop_caches
    moves_less_than $((size / 100)) "$mount" copy_by_server "$mount/source" "$mount/target"
    [ "$(nfs_calls "$mount" COPY)" -gt 0 ] || fail "the client called no COPY"
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

library_is_loaded() {
    run_preloaded grep -F "$library" /proc/self/maps >"$scratch/maps" || fail "$library is not in /proc/self/maps"
}

plan 12
verdict "the library is loaded" library_is_loaded
for fs in xfs ext4 btrfs; do
    on_nfs $fs || fail "cannot mount $fs"
    verdict "the server copies, on $fs" server_copies
    verdict "what the client copies is seen, on $fs" client_copies
    verdict "dd has the same bytes, on $fs" dd_copies
done
two_exports() {
    copy_by_server "$scratch/nfs-xfs/source" "$scratch/nfs-ext4/across"
    assert_same /export/xfs/source /export/ext4/across
}
verdict "one server copies between two exports" two_exports

# The client has a longer COPY made in the background, and waits for the server's word of it (CB_OFFLOAD, RFC 7862 16.1), which
# can be lost. A program that copies by itself shows that the server would take more at once.
no_copy_is_longer_than_two_reads() {
    local before by_itself by_library
    make_source "$mount/source" $size
    before=$(nfs_calls "$mount" COPY)
    copy_by_server "$mount/source" "$mount/target"
    by_itself=$(($(nfs_calls "$mount" COPY) - before))
    rm "$mount/target"
    run_reported dd if="$mount/source" of="$mount/target" bs=1M status=none
    assert_reported offloaded $size
    by_library=$(($(nfs_calls "$mount" COPY) - before - by_itself))
    [ $by_itself -lt $((size >> 18)) ] || fail "a program by itself takes $by_itself calls"
    [ $by_library -ge $((size >> 18)) ] || fail "$by_library calls are too few"
}
on_nfs ext4 nosharecache,rsize=131072,wsize=131072 || fail "cannot mount ext4"
verdict "no copy is longer than two reads" no_copy_is_longer_than_two_reads
