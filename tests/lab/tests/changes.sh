#!/bin/bash
# A source or a destination that others change in the middle of a copy: the destination ends up with what the program
# wrote, at each place that it wrote to after the change. The program keeps what it wrote by itself.
. "$(dirname "$0")/../guest.sh"

file_servers="nfs smb"

# More than a step of the engine (4 MiB), and blocks that divide it.
size=$((6 << 20)) block=131072

# ---- what happens, on the server's side or by way of another process of the client: each in place DIRECTORY ----

rewrite_source() {
    tr '[:lower:]' '[:upper:]' <"$1/source" >"$scratch/new"
    dd if="$scratch/new" of="$1/source" bs=1M conv=notrunc,fsync status=none
}
# With the time that it had, as far as that can be set.
rewrite_backdated() {
    touch -r "$1/source" "$scratch/times"
    rewrite_source "$1"
    touch -r "$scratch/times" "$1/source"
}
# Not by truncate(1), whose open(2) does not wait for a client to give its delegation back.
truncate_source() { dd if=/dev/null of="$1/source" bs=$((25 * block + 1000)) seek=1 count=0 status=none; }
extend_source() { head -c 300000 /bin/bash >>"$1/source"; }
unlink_source() { rm "$1/source"; }
replace_source() { tr '[:lower:]' '[:upper:]' <"$1/source" >"$1/other" && mv "$1/other" "$1/source"; }
overwrite_target() { dd if=/bin/bash of="$1/target" bs=$block count=8 conv=notrunc,fsync status=none; }
overwrite_ahead() { dd if=/bin/bash of="$1/target" bs=$block seek=22 count=4 conv=notrunc,fsync status=none; }
truncate_target() { dd if=/dev/null of="$1/target" bs=1000 seek=1 count=0 status=none; }
extend_target() { dd if=/bin/bash of="$1/target" bs=$block seek=50 count=1 conv=notrunc,fsync status=none; }

# Copies, and at PAUSE has COMMAND done. $scratch/written is what the program wrote, $scratch/said what it said of it.
copy_with() { # PAUSE COMMAND...
    local line copier_process pause=$1
    shift
    : >"$scratch/said"
    rm -f "$report"
    coproc copier {
        run_preloaded env OFFLOAD_REPORT="$report" "$paced" "$mount/source" "$mount/target" "$scratch/written" \
            $block "$pause"
    }
    # shellcheck disable=SC2154 # coproc sets it, until the process has ended
    copier_process=$copier_PID
    while IFS= read -r -t 60 line <&"${copier[0]}"; do
        if [ "$line" = "$pause" ]; then
            "$@"
            echo >&"${copier[1]}"
        else
            echo "$line" >>"$scratch/said"
        fi
        [[ $line != longest* ]] || break
    done
    wait "$copier_process" || true
    grep -q longest "$scratch/said" || fail "the copy did not end: $(cat "$scratch/said")"
}

prepare_files() { # cold|cached
    rm -f "$server_side"/source "$server_side"/target "$server_side"/other
    cp "$scratch/original" "$server_side/source"
    if [ "$1" = cold ]; then
        drop_caches
    else
        cat "$mount/source" >/dev/null
    fi
}

# Where the program wrote from PAUSE on.
from_pause() {
    echo $((${1#[rw]} * block))
}

# A change of the source: all that the program wrote is there.
source_case() { # PAUSE cold|cached CHANGE DIRECTORY
    prepare_files "$2"
    copy_with "$1" "$3" "$4"
    [ -s "$scratch/written" ] || fail "the program wrote nothing: $(cat "$scratch/said")"
    cmp "$scratch/written" "$server_side/target" ||
        fail "the server has other bytes after $3 at $1, $2, in $4: $(cat "$scratch/said" "$report")"
    cmp "$scratch/written" "$mount/target" ||
        fail "the client sees other bytes after $3 at $1, $2, in $4: $(cat "$scratch/said" "$report")"
}

# A change of the destination: what was written before it may be the one's or the other's, also where they are blocks.
target_case() { # PAUSE CHANGE DIRECTORY
    local from
    from=$(from_pause "$1")
    prepare_files cached
    copy_with "$1" "$2" "$3"
    assert_same "$scratch/written" "$server_side/source"
    cmp -i "$from" -n $((size - from)) "$scratch/written" "$server_side/target" ||
        fail "what was written after $2 at $1 in $3 is not there: $(cat "$report")"
}

rewritten() { # cold|cached PAUSE...
    local pause temperature=$1
    shift
    for pause in "$@"; do
        source_case "$pause" "$temperature" rewrite_source "${elsewhere:-$server_side}"
    done
}

other_ways() { # CHANGE...
    local change
    for change in "$@"; do
        source_case w20 cached "$change" "${elsewhere:-$server_side}"
    done
}

by_client() {
    local change
    for change in rewrite_source truncate_source extend_source unlink_source; do
        source_case w20 cached $change "$mount"
    done
}

target_changes() { # DIRECTORY [CHANGE...]
    local change directory=$1
    shift
    [ $# -gt 0 ] || set -- overwrite_target overwrite_ahead truncate_target extend_target
    for change in "$@"; do
        target_case w20 "$change" "$directory"
    done
}

# While the server copies the first step, at whose end strace stops the program for as long, something is written behind all
# that the program will write. It stays.
written_behind() { # DIRECTORY
    local copier
    prepare_files cached
    rm -f "$trace"
    run_reported strace -f -qq -o "$trace" -e trace=copy_file_range \
        -e inject=copy_file_range:signal=STOP:when=1 \
        "$paced" "$mount/source" "$mount/target" "$scratch/written" $block >"$scratch/said" &
    copier=$!
    wait_for grep -q SIGSTOP "$trace" || fail "$(cat "$trace" "$scratch/said")"
    grep -q 'copy_file_range(.*= 262144' "$trace" || fail "it was not stopped after a step: $(cat "$trace")"
    dd if=/bin/bash of="$1/target" bs=$block seek=$((2 * size / block)) count=4 conv=notrunc,fsync status=none
    kill -CONT "$(sed -n '$s/ .*//p' "$trace")"
    wait $copier || fail "the copy ended with $?: $(cat "$scratch/said")"
    assert_same "$scratch/written" "$server_side/source"
    cmp -n $size "$scratch/written" "$server_side/target"
    cmp -i 0:$((2 * size)) -n $((4 * block)) /bin/bash "$server_side/target" ||
        fail "what was written behind the copy in $1 is not there: $(cat "$report")"
}

written_behind_by_each() {
    written_behind "$mount"
    written_behind "$server_side"
}

# Without any change the copy is the server's; otherwise nothing above would be tried.
undisturbed() {
    prepare_files cached
    copy_with w20 true
    assert_reported engine server
    assert_reported offloaded $size
    assert_same "$scratch/written" "$server_side/target"
}

on_mount() { # NAME
    verdict "a source that is not cached is rewritten on the server, $1" rewritten cold w0 r9 w40
    verdict "a cached source is rewritten on the server, $1" rewritten cached w1 w9 w40
    verdict "the source is truncated, extended, replaced on the server, $1" \
        other_ways truncate_source extend_source replace_source rewrite_backdated
    verdict "the source is removed on the server, $1" other_ways unlink_source
    verdict "the source is changed by another process, $1" by_client
    verdict "the destination is changed on the server, $1" target_changes "$server_side"
    verdict "the destination is changed by another process, $1" target_changes "$mount"
}

# A client that would not ask by itself for long.
nfs_cases() {
    on_nfs ext4 actimeo=60 || fail "cannot mount ext4"
    verdict "undisturbed, NFS of ext4" undisturbed
    verdict "something is written behind the destination during a step, NFS of ext4" written_behind_by_each
    on_mount "NFS of ext4"
    # What differs where the server shares blocks.
    on_nfs xfs actimeo=60 || fail "cannot mount xfs"
    verdict "undisturbed, NFS of xfs" undisturbed
    verdict "a cached source is rewritten on the server, NFS of xfs" rewritten cached w1 w9 w40
    verdict "the destination is changed on the server, NFS of xfs" target_changes "$server_side"
}

# Where the user has given the word that nobody changes the files (OFFLOAD_SMB_ALONE), another client does all the same, and
# is noticed; but for one that writes into the destination ahead of the program, whose time Samba does not tell. What a
# client knows of a file ends when it is closed: each case makes the files anew.
smb_cases() {
    on_smb xfs nosharesock,actimeo=0,closetimeo=0 || fail "cannot mount xfs a second time"
    elsewhere=$mount
    on_smb xfs actimeo=0,closetimeo=0 || fail "cannot mount xfs"
    export OFFLOAD_SMB_ALONE=on
    verdict "undisturbed, SMB of xfs" undisturbed
    verdict "a source that is not cached is rewritten by another client, SMB" rewritten cold w0 r9 w40
    verdict "a cached source is rewritten by another client, SMB" rewritten cached w1 w9 w40
    verdict "the source is truncated, extended, backdated by another client, SMB" \
        other_ways truncate_source extend_source rewrite_backdated
    verdict "the source is changed by another process, SMB" by_client
    verdict "the destination is truncated or extended by another client, SMB" \
        target_changes "$elsewhere" truncate_target extend_target
    verdict "the destination is changed by another process, SMB" target_changes "$mount"
}

make_source "$scratch/original" $size
on_file_servers "$file_servers" 12 7
