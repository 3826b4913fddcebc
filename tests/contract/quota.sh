#!/bin/bash
# A quota: a clone counts in it, but what is cloned ahead of the program must not.
. "$(dirname "$0")/../fixture.sh"
need_root
PATH=$PATH:/usr/sbin
need setpriv

setup() {
    case $fs in
    xfs)
        mount_xfs 1G uquota
        xfs_quota -x -c "limit -u bhard=${limit_mib}m 65534" "$mount"
        ;;
    btrfs)
        mount_btrfs 1G
        btrfs -q quota enable "$mount"
        btrfs -q subvolume create "$mount/limited"
        mount=$mount/limited
        # The source lies outside of what is limited.
        btrfs -q qgroup limit "${limit_mib}M" "$mount"
        ;;
    esac
    chmod 777 "$mount"
    cd "$mount"
    make_source "$scratch/$fs/source" 16777216
    chmod 644 "$scratch/$fs/source"
}

copies() { # STATUS MEBIBYTES COMMAND...
    local status=$1
    limit_mib=$2
    shift 2
    both_afresh setup setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
    expect_status "$status"
    echo "$(stat -c %s "$scratch/results/ours/copy") bytes fitted in"
}

each_filesystem() {
    local source=../source
    [ "$fs" = xfs ] || source=../../source
    "$@" "dd beyond the quota, on $fs" copies 1 8 dd if=$source of=copy bs=128k status=noxfer
    "$@" "dd beyond the quota at a part of a block, on $fs" copies 1 7 \
        dd if=$source of=copy bs=100k status=noxfer
    "$@" "cp beyond the quota, on $fs" copies 1 8 cp --reflink=never $source copy
    "$@" "busybox cp (sendfile) beyond the quota, on $fs" copies 1 8 busybox cp $source copy
    "$@" "dd within the quota, on $fs" copies 0 64 dd if=$source of=copy bs=128k status=noxfer
}

without_quota() {
    verdict "$1" skip "$fs has no quota on this kernel"
}

plan 10
for fs in xfs btrfs; do
    limit_mib=8
    (
        trap - EXIT
        set -e
        setup
    ) >/dev/null 2>&1
    has_quota=$?
    umount "$scratch/$fs" 2>/dev/null
    if [ $has_quota -eq 0 ]; then
        each_filesystem verdict
    else
        each_filesystem without_quota
    fi
done
