#!/bin/bash
# busybox: dd copies by read and write, cp and cat by sendfile.
. "$(dirname "$0")/../fixture.sh"
need_root
need busybox

# A static busybox has no dynamic linker that could preload anything.
is_static() {
    ! ldd "$(command -v busybox)" >/dev/null 2>&1
}

shared_copy() {
    if is_static; then
        skip "this busybox is a static program"
    fi
    both busybox "$@"
    expect_status 0
    assert_same source ours/copy
    assert_not_shared source plain/copy
    assert_shared source ours/copy
}

to_stdout() {
    both sh -c 'busybox cat ../source >copy'
    expect_status 0
    assert_same source ours/copy
}

reflink_filesystem() {
    make_source source
    verdict "busybox dd on $fs becomes a clone" shared_copy dd if=../source of=copy bs=64k
    verdict "busybox cp on $fs becomes a clone" shared_copy cp ../source copy
    verdict "busybox cat on $fs is as plain" to_stdout
}

plan 6
on_each "xfs btrfs" 3 reflink_filesystem
