#!/bin/bash
# What others do to both files while the array copies: each byte of the copy is one that the program wrote, or what the others
# made of it; never another file's.
# limit: 900
# shellcheck source-path=SCRIPTDIR/.. source=arrayfs.sh
. "$(dirname "$0")/../arrayfs.sh"

size=$((16 << 20)) turns=2

# COMMANDS, again and again, until it is told to end.
others() { # COMMANDS
    while [ ! -e "$scratch/enough" ]; do
        # What they do may fail, as it may without us.
        eval "$1" >/dev/null 2>&1 || true
        sleep 0.0$((RANDOM % 9 + 1))
    done
}

# Copies while others are at work. FITS: what the copy must be.
while_others() { # FS FITS COMMANDS
    local from=${place[$1-0]} to=${place[$1-1]} turn offloaded=0 process
    for ((turn = 0; turn < turns; turn++)); do
        rm -f "$from"/s* "$to/target" "$scratch/enough"
        cat "$scratch/plain" >"$from/source"
        [ -z "$keep" ] || cat "$scratch/old" >"$to/target"
        sync
        others "$3" &
        process=$!
        # shellcheck disable=SC2086 # an option, or none
        run_reported "$paced" $keep "$from/source" "$to/target" "$scratch/written" $((1 << 20)) >"$scratch/said" ||
            fail "it ended with $?: $(cat "$scratch/said")"
        : >"$scratch/enough"
        wait $process || true
        offloaded=$((offloaded + $(reported offloaded)))
        $2 "$scratch/written" "$to/target"
        drop_caches
        $2 "$scratch/written" "$to/target"
    done
    echo "$((offloaded * 100 / size / turns)) % were offloaded"
}

written() { # WRITTEN TARGET
    cmp -n "$(stat -c %s "$1")" "$1" "$2"
}

# Each block is what was written there, or zeros.
written_or_zeros() { # WRITTEN TARGET
    python3 -c '
import sys
written, target = open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read()
for at in range(0, len(target), 4096):
    block = target[at:at + 4096]
    if block.strip(b"\0") and block != written[at:at + 4096]:
        sys.exit("the block at %d is neither: %r" % (at, block[:64]))' "$1" "$2"
}

defragment() { # FS
    case $1 in
    ext4) echo e4defrag ;;
    xfs) echo xfs_fsr ;;
    esac
}

plan 22
need_scsi $((300 << 20)) || fail "no SCSI disks"
make_source "$scratch/plain" $size
tr '[:lower:]' '[:upper:]' <"$scratch/plain" >"$scratch/old"
for fs in ext4 xfs; do
    make_fs $fs
    from=${place[$fs-0]} to=${place[$fs-1]}
    keep=-k
    ! gives_written_blocks "$to" || {
        keep=
        leave_secrets "$to" >"$scratch/secrets"
    }
    # What is freed is some other file's at once.
    verdict "nobody, $fs" while_others $fs written true
    verdict "the source is truncated and its blocks are given away, $fs" while_others $fs written \
        "truncate -s 4M $from/source; head -c 12M $scratch/old >$from/secret; truncate -s $size $from/source"
    verdict "the source is written over, $fs" while_others $fs written \
        "dd if=$scratch/old of=$from/source conv=notrunc bs=64k count=40 seek=\$((RANDOM % 200))"
    verdict "the source grows, $fs" while_others $fs written "echo more >>$from/source"
    verdict "the source is removed, $fs" while_others $fs written "test -e /proc/\$(pidof paced)/fdinfo/4 && rm $from/source; head -c 16M $scratch/old >$from/secret"
    verdict "holes are punched into the source, $fs" while_others $fs written \
        "fallocate -p -o \$((RANDOM % 3800 * 4096)) -l 1M $from/source; head -c 1M $scratch/old >$from/secret\$RANDOM"
    verdict "both are defragmented, $fs" while_others $fs written "$(defragment $fs) $from/source; $(defragment $fs) $to/target"
    verdict "the copy is read, $fs" while_others $fs written "cat $to/target"
    verdict "holes are punched into the copy, $fs" while_others $fs written_or_zeros \
        "fallocate -p -n -o \$((RANDOM % 3800 * 4096)) -l 1M $to/target"
    verdict "a reader with O_NONBLOCK, $fs" while_others $fs written "dd if=$to/target iflag=nonblock of=/dev/null bs=1M"
    verdict "after all that the file systems are whole, $fs" check_fs $fs
    leave_fs $fs
done
