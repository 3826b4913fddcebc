#!/bin/bash
# The Debian package in a clean system: installed, used by root and by a user, brought up to date and
# removed again. The system is unpacked from what scripts/make-chroot has fetched.
. "$(dirname "$0")/built.sh"
need_root
need dpkg-buildpackage dh jq
system=$("$source_tree/scripts/make-chroot" --print)
[ -f "$system" ] || skip_all "there is no chroot to unpack: run scripts/make-chroot as root, with a network"
dpkg-checkbuilddeps "$source_tree/debian/control" 2>"$scratch/missing" || skip_all "$(tail -n 1 "$scratch/missing")"

root=$scratch/root
user=1234

# ---- the system ----------------------------------------------------------------------------------

# Loop devices, for the file systems that the package's own test makes, are the machine's.
enter_system() {
    mkdir "$root"
    tar -C "$root" -xf "$system"
    mount_xfs || return 1
    mount --bind "$mount" "$root/mnt" || return 1
    mount --bind /dev "$root/dev" || return 1
    mounts+=("$root/mnt" "$root/dev")
    mount_proc
    mkdir "$mount/root" "$mount/user"
    chown $user "$mount/user"
    make_source "$mount/source"
}

mount_proc() {
    mount -t proc proc "$root/proc"
    mounts+=("$root/proc")
}

# Commands as they would be typed there: nothing of this test's environment reaches them.
environment=(PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/tmp TERM=dumb DEBIAN_FRONTEND=noninteractive)

as_root() {
    limited chroot "$root" /usr/bin/env -i "${environment[@]}" "$@"
}

as_user() {
    limited chroot --userspec=$user:$user "$root" /usr/bin/env -i "${environment[@]}" "$@"
}

# All files and directories, but for the notes that dpkg, the linker and the manual's index keep.
list_system() {
    local noted=(./var/lib/dpkg ./var/cache ./var/log ./tmp ./proc ./dev ./mnt ./etc/ld.so.cache) path but=(-false)
    for path in "${noted[@]}"; do
        but+=(-o -path "$path")
    done
    (cd "$root" && find . \( "${but[@]}" \) -prune -o -type d -printf '%P %y %m\n' -o -printf '%P %y %m %s %l\n' | sort)
}

# ---- the verdicts --------------------------------------------------------------------------------

installs() {
    cp "$new_deb" "$root/tmp/new.deb"
    as_root dpkg -i /tmp/new.deb || fail "dpkg -i failed"
    [ -z "$(as_root dpkg --audit)" ] || fail "$(as_root dpkg --audit)"
    as_root dpkg --verify copy-offload || fail "the files are not as in the package"
    # Nothing that the clean system lacks is needed.
    ! as_root ldd /usr/bin/offload | grep 'not found' || fail "a library is missing"
    as_root ldconfig -p | grep -w liboffload.so || fail "the linker does not know the library"
}

# Copies made as WHO by COMMAND..., which gets if= and of=, share their blocks with the source.
copies() { # WHO COMMAND...
    local who=$1
    shift
    rm -f "$mount/${who#as_}/copy"
    "$who" "$@" if=/mnt/source of="/mnt/${who#as_}/copy" bs=64k status=none >"$scratch/said" 2>&1 ||
        fail "$who $* failed: $(cat "$scratch/said")"
    [ ! -s "$scratch/said" ] || fail "it said: $(cat "$scratch/said")"
    assert_same "$mount/source" "$mount/${who#as_}/copy"
    assert_shared "$mount/source" "$mount/${who#as_}/copy"
}

# The witness can say no.
copies_plainly_without() {
    rm -f "$mount/root/copy"
    as_root dd if=/mnt/source of=/mnt/root/copy bs=64k status=none
    assert_not_shared "$mount/source" "$mount/root/copy"
}

tells_version() {
    [ "$(as_user offload --version)" = "offload $version" ] || fail "it says $(as_user offload --version)"
    as_user offload --help | grep -q '^Usage: offload' || fail "no help"
}

probes() {
    as_user offload probe /mnt/source /mnt/user >"$scratch/probe" || fail "it ended with $?"
    grep -q clone "$scratch/probe" || fail "not a word of clone: $(cat "$scratch/probe")"
}

doctors() {
    as_user offload doctor >"$scratch/doctor" || fail "it ended with $?"
    grep -q /mnt "$scratch/doctor" || fail "not a word of the file system at /mnt: $(cat "$scratch/doctor")"
}

renders() { # PAGE SECTION WORD
    MANWIDTH=80 as_user man --warnings "$2" "$1" >"$scratch/page" 2>"$scratch/complaints" || fail "$(cat "$scratch/complaints")"
    [ ! -s "$scratch/complaints" ] || fail "$(cat "$scratch/complaints")"
    grep -q "$3" "$scratch/page" || fail "the page has no $3: $(head -n 20 "$scratch/page")"
    [ "$(wc -l <"$scratch/page")" -gt 50 ] || fail "the page has $(wc -l <"$scratch/page") lines"
}

# In a locale that does not write UTF-8, a name of other bytes is passed on as it is, and told in valid JSON.
in_locale() { # LOCALE
    local name
    name=$(printf 'gr\374n "und\nblau')
    environment+=("LC_ALL=$1")
    copies as_user offload dd
    rm -f "$mount/user/records" "$mount/user/$name"
    as_user offload --log=/mnt/user/records dd if=/mnt/source of="/mnt/user/$name" bs=64k status=none
    assert_shared "$mount/source" "$mount/user/$name"
    jq -es 'map(select(.event == "copy")) | length == 1 and .[0].offloaded > 8000000 and .[0].destination_hex != null' \
        <"$mount/user/records" >/dev/null || fail "$(cat "$mount/user/records")"
    as_user offload -v dd if=/mnt/source of="/mnt/user/$name" bs=64k status=none 2>"$scratch/told"
    [ "$(wc -l <"$scratch/told")" -eq 1 ] || fail "-v did not print one line: $(cat "$scratch/told")"
    as_user offload --report=json -o /mnt/user/summary dd if=/mnt/source of="/mnt/user/$name" bs=64k status=none
    jq -e . "$mount/user/summary" >/dev/null || fail "$(cat "$mount/user/summary")"
}

by_its_own_name() {
    as_root ln -s ../../bin/offload /usr/lib/offload/dd
    environment+=(PATH=/usr/lib/offload:/usr/bin:/bin)
    copies as_user dd
    rm "$root/usr/lib/offload/dd"
}

# Each line of the example, without its #, is a setting that the library knows; with it, nothing changes.
example_is_right() {
    local example=$root/usr/share/doc/copy-offload/examples/offload.conf
    cp "$example" "$root/etc/offload.conf"
    copies as_user offload dd
    sed -n 's/^#\(OFFLOAD[A-Z_]*=.*\)/\1/p' "$example" >"$root/etc/offload.conf"
    [ "$(wc -l <"$root/etc/offload.conf")" -ge 5 ] || fail "the example has too few settings"
    as_root offload true >"$scratch/said" 2>&1
    [ ! -s "$scratch/said" ] || fail "a line of the example is wrong: $(cat "$scratch/said")"
    echo OFFLOAD=off >"$root/etc/offload.conf"
    as_user offload dd if=/mnt/source of=/mnt/user/copy bs=64k status=none
    rm "$root/etc/offload.conf"
    assert_not_shared "$mount/source" "$mount/user/copy"
}

without_proc() {
    umount "$root/proc"
    [ ! -e "$root/proc/self" ] || fail "/proc is still there"
    copies as_root env LD_PRELOAD=liboffload.so dd
    copies as_user offload dd
    tells_version
    as_user offload probe /mnt/source /mnt/user >/dev/null || fail "offload probe ended with $?"
    as_user offload doctor >/dev/null || fail "offload doctor ended with $?"
    mount -t proc proc "$root/proc"
}

own_test() {
    cp "$source_tree/debian/tests/smoke" "$root/tmp/smoke"
    # The machine may have no loop devices left.
    status=0
    as_root sh /tmp/smoke >"$scratch/smoke" 2>&1 || status=$?
    [ $status -ne 77 ] || skip "$(cat "$scratch/smoke")"
    [ $status -eq 0 ] || fail "$(cat "$scratch/smoke")"
}

leaves_nothing() {
    rm -f "$root/usr/lib/offload"/*
    as_root dpkg --remove copy-offload
    as_root dpkg --purge copy-offload
    list_system >"$scratch/after"
    diff "$scratch/before" "$scratch/after" || fail "dpkg --purge did not leave the system as it was"
    ! as_root ldconfig -p | grep -w liboffload.so || fail "the linker still knows the library"
    [ "$(as_root sh -c 'LD_PRELOAD=liboffload.so /bin/true' 2>&1 | grep -c 'cannot be preloaded')" -eq 1 ] ||
        fail "the library can still be loaded"
}

replaces_the_old() {
    cp "$old_deb" "$root/tmp/old.deb"
    as_root dpkg -i /tmp/old.deb || fail "dpkg -i failed for the version before"
    [ "$(as_user offload --version)" = "offload 0.1.0" ] || fail "the version before says $(as_user offload --version)"
    installs
    tells_version
    copies as_user offload dd
}

packages() {
    have deb
    cp "$built"/copy-offload_*.deb "$scratch/new.deb"
    have old
    cp "$built"/copy-offload_*.deb "$scratch/old.deb"
}

new_deb=$scratch/new.deb
old_deb=$scratch/old.deb

enter_system >"$scratch/enter.log" 2>&1 || skip_all "no file system to copy on: $(tail -n 1 "$scratch/enter.log")"
list_system >"$scratch/before"

plan 20
verdict "the packages are built" packages
verdict "installs in a clean system" installs
verdict "the witness sees a plain copy" copies_plainly_without
verdict "root: LD_PRELOAD=liboffload.so dd" copies as_root env LD_PRELOAD=liboffload.so dd
verdict "a user: LD_PRELOAD=liboffload.so dd" copies as_user env LD_PRELOAD=liboffload.so dd
verdict "root: offload dd" copies as_root offload dd
verdict "a user: offload dd" copies as_user offload dd
verdict "tells its version" tells_version
verdict "offload probe" probes
verdict "offload doctor" doctors
verdict "offload(1) is rendered" renders offload 1 OPTIONS
verdict "liboffload(7) is rendered" renders liboffload 7 OFFLOAD_MIN_SIZE
verdict "in the locale de_DE.UTF-8" in_locale de_DE.UTF-8
verdict "in the locale de_DE, which is not UTF-8" in_locale de_DE
verdict "by a link of the program's name" by_its_own_name
verdict "the example of a configuration" example_is_right
verdict "without /proc" without_proc
verdict "the package's own test" own_test
verdict "removed, it leaves nothing" leaves_nothing
verdict "takes the place of an older version" replaces_the_old
