#!/bin/bash
# The engine for NVMe drives, without the library around it: what it has a drive copy is right, nothing else in the
# namespace changes, the drive's limits are kept exactly, and what cannot be copied is told and left alone.
. "$(dirname "$0")/../guest.sh"

tool=$build/tests/tools/diskcopy
offload=$build/offload
size=$((32 << 20))

# ---- disks and witnesses ------------------------------------------------------------------------------

# Text of which each sector names its place; a copy of it is $scratch/model.
fill() { # NAMESPACE
    [ -e "$scratch/text" ] || perl -e 'for (my $n = 0; $n * 512 < $ARGV[0]; $n++) {
        print pack("A511x", sprintf("sector %012d of the drive\n", $n) x 14);
    }' $size >"$scratch/text"
    cp "$scratch/text" "$scratch/model"
    dd if="$scratch/model" of="$(nvme_namespace "$1")" bs=1M oflag=direct conv=notrunc status=none
}

# The whole namespace, as the drive has it.
same_as_model() { # NAMESPACE
    dd if="$(nvme_namespace "$1")" bs=1M iflag=direct status=none | cmp - "$scratch/model"
}

sectors_moved() {
    awk '$3 ~ /^nvme/ { n += $6 + $10 } END { print n + 0 }' /proc/diskstats
}

# Has the drive copy, keeps what the tool says, and fails if the machine moves data.
drive_copies() { # NAMESPACE ARGUMENTS
    local before after disk
    disk=$(nvme_namespace "$1")
    shift
    before=$(sectors_moved)
    # shellcheck disable=SC2086 # the tool's options
    "$tool" ${options-} "$disk" "$disk" "$@" >"$scratch/said" || {
        cat "$scratch/said"
        fail "diskcopy $*"
    }
    after=$(sectors_moved)
    [ "$before" -eq "$after" ] || fail "the machine moved $((after - before)) sectors"
}

refuses() { # WHAT IS SAID, COMMAND...
    local said=$1
    shift
    ! "$@" >"$scratch/said" || fail "not refused: $*"
    grep -qx "$said" "$scratch/said" || {
        cat "$scratch/said"
        fail "not said: $said"
    }
}

# COUNT random ranges of whole blocks, from the first half of a namespace to the second.
random_ranges() { # COUNT BYTES OF A BLOCK
    perl -e 'my ($count, $block, $size) = @ARGV; srand 7; my $half = $size / $block / 2;
        for (1 .. $count) {
            my $n = 1 + int rand 300;
            printf "%d:%d:%d\n", $block * int(rand($half - $n)), $block * ($half + int rand($half - $n)), $block * $n;
        }' "$1" "$2" $size
}

# The same in the model.
copy_ranges() { # RANGES...
    python3 -c '
import sys
with open(sys.argv[1], "r+b") as model:
    for text in sys.argv[2:]:
        place, to, n = map(int, text.split(":"))
        model.seek(place)
        data = model.read(n)
        model.seek(to)
        model.write(data)
        model.flush()' "$scratch/model" "$@"
}

# ---- copies -------------------------------------------------------------------------------------------

in_ranges() { # NAMESPACE BYTES OF A BLOCK
    local ranges
    fill "$1"
    mapfile -t ranges < <(random_ranges 60 "$2")
    copy_ranges "${ranges[@]}"
    drive_copies "$1" "${ranges[@]}"
    same_as_model "$1"
}

# Ranges of one command, in a namespace that takes 8 of 256 blocks, and 1024 blocks: all that it takes, and no more.
keeps_limits() {
    local disk half=$((size / 2))
    disk=$(nvme_namespace 2)
    fill 2
    copy_ranges 0:$half:$((1 << 20))
    drive_copies 2 0:$half:$((1 << 20))
    [ "$(grep -c '^command 4 524288 ' "$scratch/said")" = 2 ] || fail "$(cat "$scratch/said")"
    # By their number.
    options='-r 4096' drive_copies 2 0:$half:65536
    [ "$(grep -c '^command 8 32768 ' "$scratch/said")" = 2 ] || fail "$(cat "$scratch/said")"
    # Where they go to is one place.
    drive_copies 2 0:$half:4096 8192:$((half + 4096)):4096 4096:$((half + 12288)):4096
    copy_ranges 8192:$((half + 4096)):4096 4096:$((half + 12288)):4096
    [ "$(sed -n 's/^command \([0-9]*\) .*/\1/p' "$scratch/said" | paste -sd ' ')" = "2 1" ] ||
        fail "$(cat "$scratch/said")"
    same_as_model 2
    ! nvme copy "$disk" --sdlba=32768 --slbs=0 --blocks=256 >/dev/null 2>&1 ||
        fail "the drive takes more than it says, so that this shows nothing"
}

keeps_to_the_end() {
    local disk last=$((size - 4096))
    disk=$(nvme_namespace 2)
    fill 2
    refuses "error 22" "$tool" "$disk" "$disk" 0:$last:8192
    refuses "error 22" "$tool" "$disk" "$disk" $last:0:8192
    refuses "error 22" "$tool" "$disk" "$disk" 0:4096:8192
    refuses "error 22" "$tool" "$(nvme_namespace 3)" "$(nvme_namespace 3)" 0:$last:512
    drive_copies 2 0:$last:4096
    copy_ranges 0:$last:4096
    same_as_model 2
}

opens_no_disk() {
    strace -y -e trace=openat,fcntl -o "$scratch/calls" "$tool" "$nvme_disk" "$nvme_disk" 0:65536:512 >/dev/null
    ! grep -E '"/dev/nvme' "$scratch/calls" || fail "a disk was opened"
    [ "$(grep -cE 'F_DUPFD_CLOEXEC.* = [0-9]{3,}.*/dev/ng' "$scratch/calls")" = 1 ] || {
        cat "$scratch/calls"
        fail "not one node with a high number"
    }
}

# ---- what cannot be -----------------------------------------------------------------------------------

says_cannot() {
    local bare metadata
    bare=$(nvme_namespace 0) metadata=$(nvme_namespace 4)
    refuses "open nvme DISK_CANNOT" "$tool" "$bare" "$bare" 0:65536:4096
    refuses "open nvme DISK_CANNOT" "$tool" /dev/vdb /dev/vdb 0:65536:4096
    refuses "open nvme DISK_FORMAT" "$tool" "$metadata" "$metadata" 0:65536:4096
    refuses "open nvme DISKS_APART" "$tool" "$(nvme_namespace 1)" "$(nvme_namespace 2)" 0:65536:4096
}

without_privilege() {
    chmod 755 "$scratch"
    refuses "open nvme DISK_FORBIDDEN" setpriv --reuid 1000 --clear-groups "$tool" "$nvme_disk" "$nvme_disk"
}

doctor() {
    "$offload" doctor >"$scratch/doctor"
    tr -s ' \n' ' ' <"$scratch/doctor" >"$scratch/line"
    for words in "$(nvme_namespace 2)|QEMU NVMe Ctrl: copies by itself; one command takes up to 512 KiB in 8 ranges" \
        "$(nvme_namespace 0)|QEMU NVMe Ctrl: a disk does not copy by itself" \
        "$(nvme_namespace 4)|QEMU NVMe Ctrl: the disks have blocks of different sizes"; do
        words=${words#/dev/}
        grep -F -- "${words/|/ }" "$scratch/line" >/dev/null || {
            sed -n '/^SCSI/,$p' "$scratch/doctor"
            fail "not said: ${words/|/ }"
        }
    done
}

# The command that was under way ends with an error. The drive is found again for the tests behind this one.
drive_vanishes() {
    local address
    wait_for nvme_namespace 1 >/dev/null
    nvme_disk=$(nvme_namespace 1)
    rm -f "$scratch/said"
    address=$(readlink -f "/sys/class/block/${nvme_disk##*/}/device/device")
    "$tool" -r 512 -c 1 "$nvme_disk" "$nvme_disk" 0:$((64 << 20)):$((32 << 20)) >"$scratch/said" &
    wait_for grep -q ^command "$scratch/said"
    echo 1 >"$address/remove"
    ! wait $! || fail "the copy was done before the drive was gone"
    echo 1 >/sys/bus/pci/rescan
    wait_for nvme_namespace 1 >/dev/null
    tail -n 2 "$scratch/said"
    grep -qE '^error (5|6|19|4)$' "$scratch/said" || fail "another error"
}

plan 9
need_nvme || fail "no NVMe drive"
verdict "ranges within a namespace" in_ranges 2 512
verdict "ranges within a namespace with sectors of 4096 bytes" in_ranges 3 4096
verdict "the drive's limits" keeps_limits
verdict "nothing beyond the end, and nothing over what is read" keeps_to_the_end
verdict "no disk is opened" opens_no_disk
verdict "drives that do not copy" says_cannot
verdict "without privilege" without_privilege
verdict "offload doctor" doctor
verdict "the drive vanishes" in_one_of_three drive_vanishes
