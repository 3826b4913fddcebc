#!/bin/bash
# cp: --reflink=never is the user's wish that cp itself does not clone, and leaves cp its loop.
. "$(dirname "$0")/../fixture.sh"
need_root

shared_copy() {
    both cp --reflink=never "$@" ../source copy
    expect_status 0
    assert_same source ours/copy
    assert_not_shared source plain/copy
    assert_shared source ours/copy
}

with_attributes() {
    touch -d '2001-02-03 04:05:06.789' source
    chmod 640 source
    shared_copy -p
    [ "$(stat -c %y ours/copy)" = "$(stat -c %y source)" ] || fail "cp -p lost the time it set"
}

directory() {
    rm -rf many
    mkdir many
    for name in one two three; do
        make_source "many/$name" 300000
    done
    printf 'small' >many/small
    truncate -s 1M many/hole
    both cp -r --reflink=never ../many copy
    expect_status 0
    for name in one two three; do
        assert_shared "many/$name" "ours/copy/$name"
    done
}

own_choice() {
    both cp ../source copy
    expect_status 0
    assert_same source ours/copy
}

reflink_filesystem() {
    make_source source
    verdict "cp --reflink=never on $fs becomes a clone" shared_copy
    verdict "cp -p on $fs keeps the times that it set" with_attributes
    verdict "cp -r on $fs clones file by file" directory
    verdict "cp --sparse=always on $fs is as plain" both \
        cp --reflink=never --sparse=always ../source copy
    verdict "cp's own clone on $fs is as plain" own_choice
}

no_reflink_filesystem() {
    make_source source
    verdict "cp on $fs is as plain" own_choice
    verdict "cp --reflink=never on $fs is as plain" both cp --reflink=never ../source copy
}

plan 16
on_each "xfs btrfs" 5 reflink_filesystem
on_each "ext4 tmpfs overlay" 2 no_reflink_filesystem
