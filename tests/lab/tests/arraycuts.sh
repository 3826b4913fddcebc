#!/bin/bash
# The power is cut while a disk copies over a file, at each step of a call: afterwards the file system is whole, each block
# of the file is the old one or the source's, and nothing else has changed.
# limit: 900
# shellcheck source-path=SCRIPTDIR/.. source=arrayfs.sh
. "$(dirname "$0")/../arrayfs.sh"

size=$((4 << 20))

# What a call of the engine makes, in this order, and how often before the step is reached. Not the first call, by which
# the engine is chosen.
steps=(
    'both files are leased' fcntl '.*F_SETLEASE, F_WRLCK' 2
    'the time of change is set' utimensat '.*' 2
    'both are mapped' ioctl '.*FIEMAP' 4
    'pages are dropped' fadvise64 '.*DONTNEED' 3
    'the first command is done' ioctl '.*NVME_IOCTL_IO_CMD' 2
    'all is copied, and mapped again' ioctl '.*FIEMAP' 6
    'pages are dropped again' fadvise64 '.*DONTNEED' 4
    'the leases are given back' fcntl '.*F_SETLEASE, F_UNLCK' 4
)
all=$((${#steps[@]} / 4))
# A boot takes longer than a copy: each cut finds so many of them, in file systems of their own, at one step after the other.
together=4

# Sets what step NUMBER has for itself.
on_step() { # NUMBER
    step=("${steps[@]:4*$1:4}") at=$scratch/at$1 trace=$scratch/trace$1
    part=p$(($1 % together + 1))
    disk=$nvme_disk$part
    copy=(dd "if=$at/source" "of=$at/target" bs=1M conv=notrunc status=none)
    mkdir -p "$at"
}

make_partition() {
    [ -b "$disk" ] || partition "$nvme_disk" "$part" $((${part#p} << 26)) $((64 << 20))
}

# The journal waits for longer than it takes to come to all steps.
make_files() {
    mkfs.ext4 -q -F "$disk"
    mount -o commit=300 "$disk" "$at"
    mounts+=("$at")
    make_source "$at/source" $size
    tr '[:lower:]' '[:upper:]' <"$at/source" | tee "$at/other" >"$at/target"
    sync
}

# The how-many-eth call of that name it is that the step ends with.
turn_of() { # CALL PATTERN COUNT
    rm -f "$report"
    strace -qq -o "$trace" -e trace="$1" -E LD_PRELOAD="$library" -E OFFLOAD_REPORT="$report" "${copy[@]}"
    grep -n "^$1(.*$2" "$trace" | sed -n "$3s/:.*//p"
}

# Sets `turn`. The library may leave a copy alone at any doubt: that has no steps, and its record says why.
find_turn() {
    local attempt
    for attempt in 1 2 3; do
        turn=$(turn_of "${step[@]:1}")
        [ -z "$turn" ] || return 0
        echo "attempt $attempt has no such step: $(cat "$report" "$trace")"
    done
    fail "there is no such step"
}

stop_at() { # CALL TURN
    rm "$trace"
    strace -qq -o "$trace" -e trace="$1" -e inject="$1:signal=STOP:when=$2" -E LD_PRELOAD="$library" "${copy[@]}" &
    wait_for is_stopped || fail "the copy was not stopped at its step: $(cat "$trace")"
}

# Copies, up to these steps, and has the power cut. All is on the disks before the first copy begins.
cut_at() { # STEP...
    local number turn
    local -A turns
    for number in "$@"; do
        on_step "$number"
        make_partition
        make_files
        find_turn
        turns[$number]=$turn
        tr '[:lower:]' '[:upper:]' <"$at/source" >"$at/target"
    done
    sync
    for number in "$@"; do
        on_step "$number"
        stop_at "${step[1]}" "${turns[$number]}"
    done
    cut_power "$number"
}

whole() { # STEP
    on_step "$1"
    make_partition
    # The journal is played back by the mount.
    mount "$disk" "$at"
    umount "$at"
    e2fsck -fn "$disk" >"$scratch/fsck" 2>&1 || fail "the file system is damaged: $(cat "$scratch/fsck")"
    mount "$disk" "$at"
    cmp "$scratch/source" "$at/source"
    cmp "$scratch/old" "$at/other"
    python3 -c '
import sys
source, old, target = (open(name, "rb").read() for name in sys.argv[1:])
new = 0
for at in range(0, len(source), 4096):
    block = target[at:at + 4096]
    new += block == source[at:at + 4096]
    if block not in (source[at:at + 4096], old[at:at + 4096]):
        sys.exit("the block at %d is neither: %r" % (at, block[:64]))
print("%d of %d blocks are the source\x27s" % (new, len(source) // 4096))
sys.exit(len(target) != len(source))' "$scratch/source" "$scratch/old" "$at/target"
    umount "$at"
}

# The steps before STATE that one cut has found.
found_at() { # STATE
    local first=$(($1 / together * together)) number
    make_source "$scratch/source" $size
    tr '[:lower:]' '[:upper:]' <"$scratch/source" >"$scratch/old"
    for ((number = first; number <= $1; number++)); do
        verdict "the power is cut when ${steps[4 * number]}" whole $number
    done
}

plan $all
need_nvme
[ -z "${OFFLOAD_TEST_CUT-}" ] || found_at "$OFFLOAD_TEST_CUT"
next=$((${OFFLOAD_TEST_CUT:--1} + 1))
# shellcheck disable=SC2046 # numbers
[ $next -ge $all ] || cut_at $(seq $next $((next + together < all ? next + together - 1 : all - 1)))
