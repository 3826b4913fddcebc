#!/bin/bash
# Files on mounted file systems whose bytes the array copies: they are right on the disk, nothing else on it changes, and
# this machine moves next to nothing.
# limit: 900
# shellcheck source-path=SCRIPTDIR/.. source=arrayfs.sh
. "$(dirname "$0")/../arrayfs.sh"

size=$((24 << 20)) large=$((64 << 20))

# The source's bytes are in the page cache, or the program's own reads would count. COUNT counts what moves.
offloaded() { # COUNT MOST BYTES PROGRAM SOURCE TARGET
    local before after
    sync
    cat "$4" >/dev/null
    sleep 0.05
    before=$($1)
    copy_by run_reported "$3" "$4" "$5"
    sync "$5"
    after=$($1)
    echo "$3: $((after - before)) bytes moved for $size"
    assert_reported engine array
    assert_reported offloaded $size
    [ $((after - before)) -le "$2" ] || fail "$((after - before)) bytes moved: $(cat "$report")"
    drop_caches
    assert_same "$4" "$5"
}

# The disk's free blocks hold what is no file's any more. The kernel's count of what is written to a disk has in it what the
# disk fills by WRITE SAME, for which nothing moves.
new_file() { # FS PROGRAM
    local source=${place[$1-0]}/large copy=${place[$1-1]}/large before moved filled copies
    [ ! -e "$copy" ] || dd if="$scratch/secret" of="$copy" bs=1M conv=notrunc,fsync status=none
    rm -f "$copy"
    sync
    cat "$source" >/dev/null
    note_commands
    before=$(sectors_moved)
    copy_by "$3" "$2" "$source" "$copy"
    sync "$copy"
    counted=$(($(sectors_moved) - before))
    read -r moved filled copies < <(noted)
    counted=$((counted - filled))
    echo "$2: $counted bytes moved for $large as the disks' counts have it, $moved as the commands' lengths; $copies commands to copy"
}

offloaded_anew() { # FS PROGRAM
    local counted
    new_file "$1" "$2" run_reported
    assert_reported engine array
    assert_reported offloaded $large
    [ "$counted" -le $((large / 50)) ] || fail "too many"
    drop_caches
    assert_same "${place[$1-0]}/large" "${place[$1-1]}/large"
}

moves_all() { # FS PROGRAM
    local counted
    new_file "$1" "$2" run_plain
    [ "$counted" -ge $large ] || fail "too few: it is the count that is wrong"
}

# Over a file of other bytes, which are in memory.
over() { # FS PROGRAM FROM TO
    local copy=${place[$1-$4]}/target copies piece=$((1 << 20))
    [ "$2" != python-over ] || piece=$((64 << 10))
    rm -f "$copy"
    cat "$scratch/old" >"$copy"
    note_commands
    offloaded sectors_moved $((size / 50)) "$2" "${place[$1-$3]}/source" "$copy"
    read -r _ _ copies < <(noted)
    # A write of the program is one, and whether the disks can copy is tried once.
    [ "$copies" -le $((size / piece + 2)) ] || fail "$copies commands to copy"
}

refused() { # FS PROGRAM REASON
    rm -f "${place[$1-1]}/target"
    copy_by run_reported "$2" "${place[$1-0]}/source" "${place[$1-1]}/target"
    assert_reported offloaded 0
    assert_reported cause "$3"
    assert_same "${place[$1-0]}/source" "${place[$1-1]}/target"
}

remounted() { # FS
    check_fs "$1"
    assert_same "${place[$1-0]}/source" "${place[$1-1]}/target"
    [ ! -e "${place[$1-1]}/large" ] || assert_same "${place[$1-0]}/large" "${place[$1-1]}/large"
}

# SOURCE's copy is right, in memory and on the disk. By a program that writes over a file it has one to write over.
one_shape() { # PROGRAM SOURCE TARGET
    rm -f "$3"
    [ "${1%-over}" = "$1" ] || tr '\0[:lower:]' 'x[:upper:]' <"$2" >"$3"
    copy_by run_preloaded "$1" "$2" "$3"
    assert_same "$2" "$3"
    drop_caches
    assert_same "$2" "$3"
}

# Sizes around blocks, and holes.
shapes() { # FS PROGRAM
    local source=${place[$1-0]}/shape copy=${place[$1-1]}/shape bytes
    for bytes in 65536 $(((1 << 20) + 1)) 2000000; do
        make_source "$source" $bytes
        one_shape "$2" "$source" "$copy"
    done
    fallocate -p -o 512K -l 512K "$source"
    truncate -s 4M "$source"
    one_shape "$2" "$source" "$copy"
    rm "$source" "$copy"
}

# ---- what goes wrong ----------------------------------------------------------------------------------

# Disk 2, whose own file lies on a disk that can be made to stand still.
make_slow_target() {
    truncate -s $((64 << 20)) /export/ext4/lun2
    ln -s /export/ext4/lun2 "$scratch/lun2"
    make_lun 2 $((64 << 20))
}

# A file system on disk 2. What the target has of it in memory is written and dropped, while this machine has the source in
# memory.
on_slow_target() { # Sets `slow`.
    slow=$scratch/slow
    mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "${scsi_disks[2]}"
    mkdir -p "$slow"
    mount "${scsi_disks[2]}" "$slow"
    mounts+=("$slow")
    head -c $((4 << 20)) "$scratch/data" >"$slow/source"
    head -c $((4 << 20)) "$scratch/old" >"$slow/target"
    sync
    cat "$slow/source" >/dev/null
    dd if=/dev/null of=/export/ext4/lun2 oflag=nocache conv=notrunc,fdatasync count=0 status=none
}

stand_still() {
    dmsetup suspend --nolockfs --noflush slow-ext4
}

go_on() {
    dmsetup resume slow-ext4
}

# A disk that answers later than the command may take: the kernel gives it up, and the program's bytes are written.
too_slow() {
    on_slow_target
    echo 21 >/proc/sys/fs/lease-break-time
    note_commands
    stand_still
    {
        given_up=0
        wait_for one_is_given_up || given_up=$?
        go_on
        exit $given_up
    } &
    run_reported dd if="$slow/source" of="$slow/target" bs=1M conv=notrunc status=none || fail "dd ended with $?"
    wait $! || fail "no command was given up: $(cat "$report")"
    echo 45 >/proc/sys/fs/lease-break-time
    assert_reported cause array_failed
    assert_same "$slow/source" "$slow/target"
    drop_caches
    assert_same "$slow/source" "$slow/target"
    umount "$slow"
    e2fsck -fn "${scsi_disks[2]}" >"$scratch/fsck" 2>&1 || fail "$(tail -n 20 "$scratch/fsck")"
}

plan 25
slow_disk ext4 0
make_served ext4 || fail "no file system for a slow disk"
need_scsi $((400 << 20)) || fail "no SCSI disks"
make_source "$scratch/data" $size
tr '[:lower:]' '[:upper:]' <"$scratch/data" >"$scratch/old"
for fs in ext4 xfs; do
    make_fs "$fs"
    cat "$scratch/data" >"${place[$fs-0]}/source"
    for program in dd-over python-over cfr-over; do
        verdict "over a file by $program, $fs" over "$fs" $program 0 1
    done
    OFFLOAD_ENGINES=array verdict "over a file of the same disk, $fs" over "$fs" dd-over 0 0
    verdict "sizes and holes, over a file, $fs" shapes "$fs" dd-over
    if gives_written_blocks "${place[$fs-1]}"; then
        make_source "${place[$fs-0]}/large" $large
        yes 'a secret of a file that is gone' | head -c $large >"$scratch/secret"
        leave_secrets "${place[$fs-1]}" >"$scratch/secrets"
        for program in dd python sendfile cp; do
            verdict "a new file by $program, $fs" offloaded_anew "$fs" $program
        done
        verdict "a new file without the library, $fs" moves_all "$fs" dd
        verdict "sizes and holes, a new file, $fs" shapes "$fs" dd
    else
        for program in dd python; do
            verdict "a new file by $program needs a kernel that writes zeros, $fs" refused "$fs" $program unwritten
        done
        verdict "a new file by sendfile, $fs" skip "this kernel gives no written blocks"
        verdict "a new file by cp, $fs" skip "this kernel gives no written blocks"
        verdict "a new file without the library, $fs" skip "this kernel gives no written blocks"
        verdict "sizes and holes, a new file, $fs" skip "this kernel gives no written blocks"
    fi
    verdict "after a check of the file systems and a new mount, $fs" remounted "$fs"
    leave_fs "$fs"
done
make_slow_target
verdict "a command that takes too long" too_slow
