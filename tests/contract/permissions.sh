#!/bin/bash
# Missing permission: the program meets the same error at the same call.
. "$(dirname "$0")/../fixture.sh"
need_root
need setpriv

as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)

secret_source() {
    cp ../source secret
    chmod 600 secret
}

closed_destination() {
    : >copy
    chmod 644 copy
}

closed_directory() {
    mkdir -m 755 closed
}

refused() { # PREPARE COMMAND...
    prepare=$1
    shift
    both "${as_nobody[@]}" "$@"
    expect_status 1
}

allowed() {
    both "${as_nobody[@]}" dd if=../source of=copy bs=128k status=noxfer
    expect_status 0
    assert_shared source ours/copy
}

reflink_filesystem() {
    make_source source
    chmod 644 source
    verdict "a source that may not be read, on $fs" refused secret_source dd if=secret of=copy
    verdict "a destination that may not be written, on $fs" refused closed_destination \
        dd if=../source of=copy
    verdict "a directory that may not be written, on $fs" refused closed_directory \
        cp ../source closed/copy
    verdict "a user without any privilege copies on $fs" allowed
}

plan 8
on_each "xfs btrfs" 4 reflink_filesystem
