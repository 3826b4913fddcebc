#!/bin/bash
# borgmatic: the copy that a hook makes is cloned, by borgmatic itself where it is installed.
. "$(dirname "$0")/../fixture.sh"
need_root
example=$source_tree/examples/borgmatic.yaml

# With the paths of this test, and an application that only says that it is stopped and started.
localised() {
    sed "s|/usr/bin/offload|$build/offload|; s|/srv/|$PWD/srv/|g; s|systemctl \([a-z]*\) application|echo \1 >>$PWD/events|" \
        "$example"
}

prepare_files() {
    rm -rf srv events
    mkdir -p srv/application
    make_source srv/application/data.img
}

hook() { # NAME
    localised | awk -v hook="    $1:" '$0 == hook { inside = 1; next } /^    [a-z]/ { inside = 0 }
        inside && sub(/^        - /, "")'
}

run_hook() { # NAME
    hook "$1" >"$scratch/hook"
    [ -s "$scratch/hook" ] || fail "no hook $1 in $example"
    while IFS= read -r line; do
        limited sh -c "$line" </dev/null
    done <"$scratch/hook"
}

by_hand() {
    prepare_files
    run_hook before_backup
    assert_same srv/application/data.img srv/stage/data.img
    assert_shared srv/application/data.img srv/stage/data.img
    [ "$(tr '\n' ' ' <events)" = 'stop start ' ] || fail "the application: $(cat events)"
    run_hook after_backup
    [ ! -e srv/stage ] || fail "the copy is still there"
}

by_borgmatic() {
    command -v borgmatic >/dev/null || skip "borgmatic is not installed"
    command -v borg >/dev/null || skip "borg is not installed"
    [ "$(borgmatic --version | cut -d. -f1,2)" = 1.7 ] || skip "this borgmatic has another form of configuration"
    prepare_files
    export HOME=$PWD/home BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_RELOCATED_REPO_ACCESS_IS_OK=yes
    mkdir home
    {
        printf 'location:\n    source_directories:\n        - %s\n' "$PWD/srv/stage"
        printf '    repositories:\n        - %s\nretention:\n    keep_daily: 1\n' "$PWD/repository"
        # A witness before the copy is removed.
        localised | sed "s|^    after_backup:|&\n        - $extents $PWD/srv/application/data.img $PWD/srv/stage/data.img >$PWD/witness|"
    } >borgmatic.yaml
    limited borg init -e none "$PWD/repository"
    limited borgmatic --config "$PWD/borgmatic.yaml" create </dev/null >borgmatic.out 2>&1 ||
        fail "borgmatic: $(cat borgmatic.out)"
    read -r common size _ <witness
    [ "$common" -ge $((size / 4096 * 4096)) ] || fail "$common of $size bytes were shared"
    limited borg list "$PWD/repository" --format '{archive}{NL}' >archives
    [ "$(wc -l <archives)" -eq 1 ] || fail "no archive was made"
}

mount_xfs >"$scratch/mount.log" 2>&1 || skip_all "XFS cannot be mounted here: $(tail -n1 "$scratch/mount.log")"
cd "$mount" || exit 1
plan 2
verdict "the hooks, run by hand" by_hand
verdict "the hooks, run by borgmatic" by_borgmatic
