#!/bin/bash
# The crontab: its line in cron's bare environment, and run by cron itself.
. "$(dirname "$0")/../fixture.sh"
need_root
crontab=$source_tree/examples/cron.d/offload

# The file, with the paths of this test in the place of those of an installed system.
localised() {
    sed "s|/usr/bin/offload|$build/offload|; s|/var/log/|$PWD/log/|; s|/usr/local/sbin/|$PWD/sbin/|" "$crontab"
}

prepare_backup() {
    rm -rf sbin log copy
    mkdir -p sbin log
    printf '#!/bin/sh\nid -u >&2 # what cron would send by mail\ndd if=%s of=%s bs=64k status=none\necho done >%s\n' \
        "$PWD/source" "$PWD/copy" "$PWD/log/done" >sbin/nightly-backup
    chmod 755 sbin/nightly-backup
}

check_backup() {
    assert_same source copy
    assert_shared source copy
    [ "$(wc -l <log/offload.json)" -eq 1 ] || fail "the log has not one line: $(cat log/offload.json)"
    grep -q '"engine": "clone"' log/offload.json || fail "the log says: $(cat log/offload.json)"
}

bare_environment() {
    prepare_backup
    mapfile -t variables < <(localised | grep -E '^[A-Z_]+=')
    line=$(localised | sed -nE 's/^([0-9*]+ +){5}root +//p')
    [ -n "$line" ] || fail "there is no line in $crontab"
    limited env -i SHELL=/bin/sh HOME=/root LOGNAME=root PATH=/usr/bin:/bin "${variables[@]}" \
        /bin/sh -c "$line" >out 2>&1 </dev/null
    # Nothing but what the script itself printed.
    [ "$(cat out)" = 0 ] || fail "cron would send: $(cat out)"
    check_backup
}

all_of_a_crontab() {
    prepare_backup
    mapfile -t variables < <(localised | sed -nE 's/^#([A-Z_]+=)/\1/p' | sed "s|=liboffload.so|=$library|")
    [ ${#variables[@]} -eq 2 ] || fail "no variables that are commented out"
    limited env -i SHELL=/bin/sh HOME=/root LOGNAME=root PATH=/usr/bin:/bin "${variables[@]}" \
        /bin/sh -c "$PWD/sbin/nightly-backup" 2>/dev/null </dev/null
    check_backup
}

# cron runs what is due @reboot as soon as it starts. It gets folders of its own, so that nothing of this machine runs.
by_cron() {
    command -v cron >/dev/null || skip "cron is not installed"
    for folder in /etc/cron.d /var/spool/cron/crontabs; do
        [ -d $folder ] || skip "there is no $folder: this is not Debian's cron"
    done
    prepare_backup
    mkdir -p crond spool
    chmod 755 crond
    localised | sed -E 's/^([0-9*]+ +){5}root/@reboot root/' >crond/offload
    chmod 644 crond/offload
    mount --bind "$PWD/crond" /etc/cron.d
    mount --bind "$PWD/spool" /var/spool/cron/crontabs
    [ ! -f /etc/crontab ] || mount --bind /dev/null /etc/crontab
    mount -t tmpfs tmpfs /run
    limited cron -f >cron.log 2>&1 &
    cron=$!
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        [ ! -e log/done ] || break
        kill -0 $cron 2>/dev/null || break
        sleep 0.1
    done
    # The log is written when the copying process ends, which is before the script's last line.
    kill $cron 2>/dev/null || true
    wait $cron || true
    [ -e log/done ] || fail "cron did not run the line: $(cat cron.log)"
    check_backup
}

in_own_place() {
    # Mounts of the verdict, which end with it.
    export -f by_cron prepare_backup localised check_backup assert_same assert_shared limited fail skip
    export build crontab extents library limit patience source_tree
    unshare --mount --propagation private bash -euc by_cron
}

mount_xfs >"$scratch/mount.log" 2>&1 || skip_all "XFS cannot be mounted here: $(tail -n1 "$scratch/mount.log")"
cd "$mount" || exit 1
plan 3
make_source source
verdict "the line in cron's environment" bare_environment
verdict "the variables for a whole crontab" all_of_a_crontab
verdict "run by cron" in_own_place
