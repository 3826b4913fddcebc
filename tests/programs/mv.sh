#!/bin/bash
# mv between two mounts of one file system: rename says that they differ, so mv copies and removes.
. "$(dirname "$0")/../fixture.sh"
need_root

two_mounts() {
    mkdir -p one two first second
    mount --bind one first
    mount --bind two second
    mounts+=("$mount/first" "$mount/second")
}

moved() {
    # What is moved is gone afterwards: a clone of it still tells where its bytes are.
    cp --reflink=always original first/file
    touch -d '2001-02-03 04:05:06' first/file
    "$1" mv first/file second/file 2>messages || fail "mv failed: $(cat messages)"
    [ ! -s messages ] || fail "mv printed: $(cat messages)"
    [ ! -e first/file ] || fail "mv left its source"
    assert_same original second/file
    [ "$(stat -c %Y second/file)" = "$(date -d '2001-02-03 04:05:06' +%s)" ] ||
        fail "mv lost the time of the file"
}

becomes_clone() {
    # mv clones by itself where it can; only a mv that is not let do so shows the library's work.
    moved run_plain
    rm second/file
    moved run_preloaded
    assert_shared original second/file
    rm second/file
}

# busybox mv knows no clone: its sendfile loop is the library's.
busybox_moved() {
    cp --reflink=always original first/file
    "$1" busybox mv first/file second/file || fail "busybox mv failed"
    [ ! -e first/file ] || fail "busybox mv left its source"
    assert_same original second/file
}

busybox_becomes_clone() {
    command -v busybox >/dev/null || skip "busybox is not installed"
    ldd "$(command -v busybox)" >/dev/null 2>&1 || skip "this busybox is a static program"
    busybox_moved run_plain
    assert_not_shared original second/file
    rm second/file
    busybox_moved run_preloaded
    assert_shared original second/file
    rm second/file
}

reflink_filesystem() {
    make_source original
    two_mounts
    verdict "mv between two mounts on $fs ends with a clone" becomes_clone
    verdict "busybox mv between two mounts on $fs becomes a clone" busybox_becomes_clone
}

plan 4
on_each "xfs btrfs" 2 reflink_filesystem
