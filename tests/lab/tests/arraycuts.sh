#!/bin/bash
# The power is cut while a disk copies over a file, at each step of a call: afterwards the file system is whole, each block
# of the file is the old one or the source's, and nothing else has changed.
# limit: 900
# shellcheck source-path=SCRIPTDIR/.. source=guest.sh
. "$(dirname "$0")/../guest.sh"

size=$((4 << 20)) at=$scratch/at

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
last=$((${#steps[@]} / 4))

make_files() {
    mkdir -p "$at"
    mkfs.ext4 -q -F "$nvme_disk" 64M
    mount "$nvme_disk" "$at"
    mounts+=("$at")
    make_source "$at/source" $size
    tr '[:lower:]' '[:upper:]' <"$at/source" | tee "$at/other" >"$at/target"
    sync
}

copy=(dd "if=$at/source" "of=$at/target" bs=1M conv=notrunc status=none)

# The how-many-eth call of that name it is that the step ends with.
place_of() { # CALL PATTERN COUNT
    rm -f "$report"
    strace -qq -o "$trace" -e trace="$1" -E LD_PRELOAD="$library" -E OFFLOAD_REPORT="$report" "${copy[@]}"
    grep -n "^$1(.*$2" "$trace" | sed -n "$3s/:.*//p"
}

# Copies, up to that step, and has the power cut.
cut_at() { # STEP
    local step=("${steps[@]:4*$1:4}") place attempt
    need_nvme
    make_files
    # The library may leave a copy alone at any doubt: that has no steps, and its record says why.
    for attempt in 1 2 3; do
        place=$(place_of "${step[1]}" "${step[2]}" "${step[3]}")
        [ -z "$place" ] || break
        echo "attempt $attempt has no such step: $(cat "$report" "$trace")"
    done
    [ -n "$place" ] || fail "there is no such step"
    tr '[:lower:]' '[:upper:]' <"$at/source" >"$at/target"
    sync
    rm "$trace"
    strace -qq -o "$trace" -e trace="${step[1]}" -e inject="${step[1]}:signal=STOP:when=$place" \
        -E LD_PRELOAD="$library" "${copy[@]}" &
    wait_for is_stopped || fail "the copy was not stopped at its step: $(cat "$trace")"
    cut_power "$1"
}

whole() {
    need_nvme
    mkdir -p "$at"
    # The journal is played back by the mount.
    mount "$nvme_disk" "$at"
    umount "$at"
    e2fsck -fn "$nvme_disk" >"$scratch/fsck" 2>&1 || fail "the file system is damaged: $(cat "$scratch/fsck")"
    mount "$nvme_disk" "$at"
    mounts+=("$at")
    make_source "$scratch/source" $size
    tr '[:lower:]' '[:upper:]' <"$scratch/source" >"$scratch/old"
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
    mounts=()
}

plan $last
if [ -n "${OFFLOAD_TEST_CUT-}" ]; then
    verdict "the power is cut when ${steps[4 * OFFLOAD_TEST_CUT]}" whole
fi
next=$((${OFFLOAD_TEST_CUT:--1} + 1))
[ $next -ge $last ] || cut_at $next
