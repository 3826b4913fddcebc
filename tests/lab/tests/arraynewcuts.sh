#!/bin/bash
# The power is cut while a disk copies to a new file, whose blocks were another file's before: afterwards the file system is
# whole, and each block of the file is the source's, or zeros. What was there before is never seen.
# limit: 900
# shellcheck source-path=SCRIPTDIR/.. source=arrayfs.sh
. "$(dirname "$0")/../arrayfs.sh"

# More than what gets blocks at once.
size=$((18 << 20)) at=$scratch/at
first=$((16 << 20))
slow=/dev/vde
# Or XFS would share the blocks.
export OFFLOAD_ENGINES=array

# When the power is cut, and whether what the file system keeps of the file was on the disk before. Each step is reached by
# the function of its name.
steps=(
    blocks 'blocks are made'
    journal 'blocks are made, and the journal is written'
    command 'a command is at work'
    copied 'a command is done, and the journal is written'
    ended 'all is copied'
    synced 'all is copied, and fsync has returned'
)

states=(ext4\ {blocks,journal,command,copied,ended,synced} xfs\ {journal,command,synced})

# The disk is the slow one, of which the target makes one that copies.
need_disk() {
    need_scsi $((1 << 20))
    make_lun_of 2 $slow
    disk=${scsi_disks[2]}
    mkdir -p "$at"
}

# All that is free has been another file's.
make_files() { # FS
    modprobe "$1"
    case $1 in
    ext4) mkfs.ext4 -q -F -b 4096 -E lazy_itable_init=0,lazy_journal_init=0 "$disk" 64M ;;
    xfs) mkfs.xfs -q -f "$disk" ;;
    esac >/dev/null || fail "no file system $1"
    mount "$disk" "$at"
    mounts+=("$at")
    make_source "$at/source" $size
    tr '[:lower:]' '[:upper:]' <"$at/source" | head -c 1M >"$at/other"
    find_place
    rm "$at/target"
    leave_secrets "$at" >"$scratch/secrets"
    cp "$scratch/secrets" "$at/secrets"
    sync
}

copy=(dd "if=$at/source" "of=$at/target" bs=1M status=none)

# The how-many-eth fadvise64(2) of the program comes after the first command, which is the second one after blocks are made.
find_place() {
    local attempt
    # The library may leave a copy alone at any doubt: its record says why.
    for attempt in 1 2 3; do
        rm -f "$at/target" "$report"
        strace -qq -o "$trace" -e trace=fallocate,fadvise64 -E LD_PRELOAD="$library" -E OFFLOAD_REPORT="$report" "${copy[@]}"
        turn=$(awk '/^fadvise64/ { n++; if (made && ++after == 2) { print n; exit } } /^fallocate/ { made = 1 }' "$trace")
        [ -z "$turn" ] || return 0
        echo "attempt $attempt has no such step: $(cat "$report" "$trace")"
    done
    fail "there is no such step"
}

# Copies, up to the how-many-eth of these calls.
stop_at() { # CALL COUNT
    rm -f "$trace"
    strace -qq -o "$trace" -e trace="$1" -e inject="$1:signal=STOP:when=$2" -E LD_PRELOAD="$library" "${copy[@]}" &
    wait_for is_stopped || fail "the copy was not stopped: $(cat "$trace")"
}

slow_written() {
    awk '{ print $7 * 512 }' "/sys/block/${slow#/dev/}/stat"
}

# Nobody opens the file meanwhile: who does would wait for the lease.
reach_blocks() { stop_at fallocate 1; }
reach_journal() { reach_blocks && sync -f "$at/other"; }
reach_command() {
    local before
    reach_journal
    before=$(slow_written)
    kill -CONT "$(pidof dd)"
    while [ $(($(slow_written) - before)) -lt $((2 << 20)) ]; do
        sleep 0.01
    done
}
reach_copied() { stop_at fadvise64 "$turn" && sync -f "$at/other"; }
reach_ended() { run_preloaded "${copy[@]}"; }
reach_synced() { run_preloaded "${copy[@]}" conv=fsync; }

cut_at() { # STATE
    # shellcheck disable=SC2086 # two words
    set -- "$1" ${states[$1]}
    ! mountpoint -q "$at" || umount "$at"
    make_files "$2"
    "reach_$3"
    cut_power "$1"
}

# ---- afterwards ----

# The file's blocks are such as the secret was in. XFS keeps some back that no file gets as long as there are others.
lies_where_secrets_were() {
    places_of "$at/target" | awk '
        NR == FNR { for (i = $1; i <= $2; i++) secret[i]; next }
        { for (i = $1; i <= $2; i++) { all++; there += i in secret } }
        END { print there + 0 " of " all + 0 " lie where the secret was"; exit there * 10 < all * 9 }' \
        "$at/secrets" - || fail "there was no secret before"
}

# Prints how many of its blocks are the source's, and how many zeros.
each_block_is_right() {
    python3 -c '
import sys
source, target = (open(name, "rb").read() for name in sys.argv[1:])
new = zeros = 0
for at in range(0, len(target), 4096):
    block = target[at:at + 4096]
    if block == source[at:at + 4096]:
        new += 1
    elif not block.strip(b"\0"):
        zeros += 1
    else:
        sys.exit("the block at %d is neither: %r" % (at, block[:64]))
print(len(target), new, zeros)' "$scratch/source" "$at/target"
}

whole() { # FS STEP
    local length new zeros
    modprobe "$1"
    # The journal is played back by the mount.
    mount "$disk" "$at"
    umount "$at"
    case $1 in
    ext4) e2fsck -fn "$disk" ;;
    xfs) xfs_repair -n "$disk" ;;
    esac >"$scratch/fsck" 2>&1 || fail "the file system is damaged: $(cat "$scratch/fsck")"
    mount "$disk" "$at"
    make_source "$scratch/source" $size
    tr '[:lower:]' '[:upper:]' <"$scratch/source" | head -c 1M >"$scratch/other"
    cmp "$scratch/source" "$at/source"
    cmp "$scratch/other" "$at/other"
    if [ -e "$at/target" ]; then
        each_block_is_right >"$scratch/blocks" || fail "$(cat "$scratch/blocks")"
        read -r length new zeros <"$scratch/blocks"
        echo "$length bytes long; of its blocks $new are the source's, $zeros zeros"
        lies_where_secrets_were
    else
        echo "there is no such file"
        length=0 new=0 zeros=0
    fi
    # What is to be seen then, or the test itself is wrong.
    case $2 in
    journal) [ "$zeros" -eq $((first / 4096)) ] ;;
    command) [ "$new" -gt 0 ] && [ "$length" -ge $first ] ;;
    copied) [ "$new" -ge $((first / 4096)) ] ;;
    synced) [ "$length" = $size ] && [ "$zeros" = 0 ] ;;
    esac || fail "that is not what there must be"
    umount "$at"
}

[ -e /sys/block/vda/queue/write_zeroes_unmap_max_hw_bytes ] || skip_all "this kernel gives no written blocks"
plan ${#states[@]}
need_disk
if [ -n "${OFFLOAD_TEST_CUT-}" ]; then
    # shellcheck disable=SC2086 # two words
    set -- ${states[$OFFLOAD_TEST_CUT]}
    for ((i = 0; i < ${#steps[@]}; i += 2)); do
        [ "${steps[i]}" != "$2" ] || verdict "the power is cut when ${steps[i + 1]}, $1" whole "$1" "$2"
    done
fi
next=$((${OFFLOAD_TEST_CUT:--1} + 1))
[ $next -ge ${#states[@]} ] || cut_at $next
