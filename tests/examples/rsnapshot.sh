#!/bin/bash
# rsnapshot: what backup_script copies is cloned; what rsync copies is as without the library, and so is the rotation.
. "$(dirname "$0")/../fixture.sh"
need_root
need rsnapshot rsync

configure() {
    cat <<END
config_version	1.2
snapshot_root	$PWD/snapshots/
cmd_cp	$(command -v cp)
cmd_rm	$(command -v rm)
cmd_rsync	$(command -v rsync)
retain	daily	3
END
    sed "s|/usr/bin/offload|$build/offload|; s|/var/log/|$PWD/|; s|/srv/|$PWD/srv/|g" \
        "$source_tree/examples/rsnapshot.conf"
}

takes_snapshots() {
    mkdir -p srv/data srv/machines
    make_source srv/data/file 1000000
    make_source srv/machines/disk.img
    configure >rsnapshot.conf
    for _ in 1 2; do
        limited rsnapshot -c "$PWD/rsnapshot.conf" daily >rsnapshot.out 2>&1 || fail "rsnapshot: $(cat rsnapshot.out)"
        # What is unchanged between two runs becomes a hard link, whoever copied it.
        echo more >>srv/machines/disk.img
        sync srv/machines/disk.img
    done
    truncate -s -5 srv/machines/disk.img
    image=snapshots/daily.0/images/disk.img
    assert_same srv/machines/disk.img "$image"
    assert_shared srv/machines/disk.img "$image"
    file=$(find snapshots/daily.0/localhost -name file)
    assert_same srv/data/file "$file"
    assert_not_shared srv/data/file "$file"
    [ "$(stat -c %h "$file")" -eq 2 ] || fail "the rotation made no hard link"
    [ "$(wc -l <offload.json)" -eq 2 ] || fail "not two copies in the log: $(cat offload.json)"
}

# All of rsnapshot under the library: the same files, and no gain for what rsync copies.
as_plain() {
    mv snapshots plain
    rm offload.json
    for _ in 1 2; do
        limited "$build/offload" --log="$PWD/all.json" rsnapshot -c "$PWD/rsnapshot.conf" daily >rsnapshot.out 2>&1 ||
            fail "rsnapshot: $(cat rsnapshot.out)"
    done
    diff -r plain/daily.0 snapshots/daily.0 || fail "the snapshot is another one"
    if grep '"program": "[^"]*/rsync"' all.json; then
        fail "copies of rsync are recognised: correct examples/README.md and the manual"
    fi
}

mount_xfs >"$scratch/mount.log" 2>&1 || skip_all "XFS cannot be mounted here: $(tail -n1 "$scratch/mount.log")"
cd "$mount" || exit 1
plan 2
verdict "rsnapshot clones what its script copies" takes_snapshots
verdict "rsnapshot itself under the library is as plain" as_plain
