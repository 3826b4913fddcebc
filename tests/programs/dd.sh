#!/bin/bash
# dd: the plainest loop there is, with every block size from one page to more than a window.
. "$(dirname "$0")/../fixture.sh"
need_root
need strace

shared_copy() {
    both dd if=../source of=copy status=noxfer "$@"
    expect_status 0
    assert_same source ours/copy
    assert_not_shared source plain/copy
    assert_shared source ours/copy
}

identical_copy() {
    both dd if=../source of=copy status=noxfer "$@"
    expect_status 0
    assert_same source ours/copy
}

empty_destination() {
    : >copy
}

onto_empty() {
    prepare=empty_destination
    shared_copy bs=128k conv=notrunc
}

# No byte is to be moved into the destination by a write, however large the file is.
nothing_written() {
    rm -rf large copy
    truncate -s 512M large
    head -c 16M source >block
    for ((at = 0; at < 512; at += 8)); do
        xfs_io -c "reflink $PWD/block 0 ${at}m 8m" large >/dev/null
    done
    cat large >/dev/null
    trace_preloaded dd if=large of=copy bs=128k status=none
    assert_same large copy
    echo "bytes moved by system calls: $(bytes_moved_to copy), clones: $(clones_to copy)"
    [ "$(bytes_moved_to copy)" -eq 0 ] || fail "writes still moved bytes to the destination"
    [ "$(clones_to copy)" -ge 1 ] || fail "there was no clone"
}

reflink_filesystem() {
    make_source source
    for size in 4k 64k 128k 1M; do
        verdict "dd bs=$size on $fs becomes a clone" shared_copy bs="$size"
    done
    verdict "dd conv=fsync on $fs becomes a clone" shared_copy bs=128k conv=fsync
    verdict "dd conv=notrunc onto an empty file on $fs becomes a clone" onto_empty
    verdict "dd count= on $fs stops where it is told" both \
        dd if=../source of=copy bs=128k count=20 status=noxfer
}

no_reflink_filesystem() {
    make_source source
    verdict "dd bs=128k on $fs is as plain" identical_copy bs=128k
    verdict "dd bs=4k on $fs is as plain" identical_copy bs=4k
}

largest() {
    make_source source 16777216
    if command -v xfs_io >/dev/null; then
        verdict "dd of 512 MiB on xfs writes nothing" nothing_written
    else
        verdict "dd of 512 MiB on xfs writes nothing" skip "xfs_io is not installed"
    fi
}

plan 21
on_each "xfs btrfs" 7 reflink_filesystem
on_each "ext4 tmpfs overlay" 2 no_reflink_filesystem
on_each xfs 1 largest
