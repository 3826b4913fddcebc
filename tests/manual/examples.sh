#!/bin/bash
# The examples of offload(1), each run as it stands there.
. "$(dirname "$0")/../fixture.sh"
. "$(dirname "$0")/rendered.sh"
need_root

examples() {
    section "${formatters[0]}" offload.1 EXAMPLES | sed -n 's/^           //p'
}

runs() { # EXAMPLE
    rm -rf work
    mkdir work
    cd work || exit
    make_source disk.img
    printf 'cp disk.img nightly.img && busybox cp disk.img nightly.2\n' >nightly-backup
    PATH=$build:$PATH limited bash -c "$1" || fail "it ended with $?"
    for file in disk.copy disk.clone disk.log; do
        [ ! -e $file ] || assert_shared disk.img $file
    done
    case $1 in
    *disk.bak*) assert_not_shared disk.img disk.bak ;;
    *report.json*) python3 -m json.tool report.json >/dev/null ;;
    *copies.json*) [ "$(wc -l <copies.json)" -eq 1 ] || fail "not one line: $(cat copies.json)" ;;
    esac
}

mapfile -t lines < <(examples)
plan ${#lines[@]}
mount_xfs >"$scratch/mount.log" 2>&1 || skip_all "XFS cannot be mounted here: $(tail -n1 "$scratch/mount.log")"
cd "$mount" || exit 1
for line in "${lines[@]}"; do
    verdict "$line" runs "$line"
done
