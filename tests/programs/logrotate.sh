#!/bin/bash
# logrotate copytruncate: copies the log, syncs the copy, and at once empties the log.
. "$(dirname "$0")/../fixture.sh"
PATH=$PATH:/usr/sbin
need_root
need logrotate

rotate() {
    rm -rf logs
    mkdir -m 755 logs
    # The log is emptied, but a clone of it still tells where its bytes were.
    cp --reflink=auto original logs/log
    cat >rotate.conf <<END
"$PWD/logs/log" {
    su root root
    copytruncate
    rotate 2
    nocompress
}
END
    chmod 644 rotate.conf
    "$1" logrotate --force --state "$PWD/state" rotate.conf >"$scratch/$1.out" 2>&1 ||
        fail "logrotate failed: $(cat "$scratch/$1.out")"
    assert_same original logs/log.1
    [ ! -s logs/log ] || fail "the log was not emptied"
    stat -c '%n %s %a %u %g' logs/log logs/log.1 >"$scratch/$1.stat"
}

rotates() {
    rotate run_plain
    rotate run_preloaded
    cmp "$scratch/run_plain.out" "$scratch/run_preloaded.out" || fail "logrotate printed something else"
    cmp "$scratch/run_plain.stat" "$scratch/run_preloaded.stat" || fail "the modes or sizes differ"
    if [ "$fs" != ext4 ]; then
        assert_shared original logs/log.1
    fi
}

each_filesystem() {
    make_source original
    verdict "logrotate copytruncate on $fs" rotates
}

plan 3
on_each "xfs btrfs ext4" 1 each_filesystem
