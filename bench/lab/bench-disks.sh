#!/bin/bash
# In the guest: copies between disks that copy by themselves, by the tools that ask them, by dd, and by the library where
# it can. Lines that begin with "bench:" are values for bench/array.sh: ROW, WAY, ROUND, SECONDS, BYTES, COMMANDS.
# shellcheck source-path=SCRIPTDIR/../../tests/lab source-path=SCRIPTDIR/../../tests source=arrayfs.sh
. "$(dirname "$0")/../arrayfs.sh"
# limit: 1800

mib=64
rounds=3

# BYTES are those that went over the bus; COMMANDS, those by which SCSI disks were told to copy.
one() { # ROW WAY ROUND COMMAND...
    local row=$1 way=$2 round=$3 before bytes began took filled copies
    shift 3
    note_commands
    before=$(sectors_moved)
    began=$(date +%s%N)
    "$@" >"$scratch/log" 2>&1 || fail "$*: $(tail -n 3 "$scratch/log")"
    took=$(($(date +%s%N) - began))
    bytes=$(($(sectors_moved) - before))
    read -r _ filled copies < <(noted)
    [ "$round" -eq 0 ] || printf 'bench:\t%s\t%s\t%s\t%s\t%s\t%s\n' "$row" "$way" "$round" \
        "$(awk -v ns=$took 'BEGIN { printf "%.6f", ns / 1e9 }')" $((bytes - filled)) "$copies"
}

one_cold() { # as one()
    drop_caches
    one "$@"
}

by_dd() { # PRELOAD FROM TO
    env LD_PRELOAD="$1" dd if="$2" of="$3" bs=1M count=$mib conv=fsync status=none
}

scsi() {
    local round row="$mib MiB from one SCSI disk to another"
    for ((round = 0; round <= rounds; round++)); do
        one_cold "$row" plain $round by_dd '' "${scsi_disks[@]}"
        one_cold "$row" offload $round by_dd "$library" "${scsi_disks[@]}"
        one_cold "$row" sg_xcopy $round sg_xcopy if="${scsi_generic[0]}" of="${scsi_generic[1]}" bs=512 count=$((mib * 2048))
        ! command -v ddpt >/dev/null || one_cold "$row" 'ddpt --xcopy' $round ddpt if="${scsi_generic[0]}" \
            of="${scsi_generic[1]}" bs=512 count=$((mib * 2048)) iflag=xcopy oflag=xcopy
    done
}

nvme_within() {
    local round row="$mib MiB within one NVMe drive" blocks=$((mib * 2048))
    for ((round = 0; round <= rounds; round++)); do
        one_cold "$row" plain $round dd if="$nvme_disk" of="$nvme_disk" bs=1M count=$mib seek=512 conv=fsync,notrunc
        one_cold "$row" offload $round env LD_PRELOAD="$library" dd if="$nvme_disk" of="$nvme_disk" bs=1M count=$mib \
            seek=512 conv=fsync,notrunc
        one_cold "$row" 'nvme copy' $round nvme_copies $blocks
    done
}

# 128 blocks a range, which is what this drive takes, and as many ranges a command.
nvme_copies() { # BLOCKS
    local at range starts lengths
    for ((at = 0; at < $1; at += 128 * 128)); do
        starts=$at lengths=127
        for ((range = 1; range < 128; range++)); do
            starts+=,$((at + range * 128)) lengths+=,127
        done
        nvme copy "$nvme_disk" --sdlba=$((1048576 + at)) --slbs="$starts" --blocks="$lengths" || return
    done
}

# ---- files ----

# Of two file systems on two of these disks, from the first one on, and behind each of them as much room for the tools that
# copy between disks and know nothing of files.
file_mib=256 first=0
fs_bytes=$((640 << 20)) behind=$((660 << 11))

make_file_systems() { # FS
    local number disk
    modprobe "$1"
    for number in 0 1; do
        disk=${scsi_disks[first + number]}
        case $1 in
        xfs) mkfs.xfs -q -f -d size=$fs_bytes "$disk" ;;
        ext4) mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$disk" $((fs_bytes >> 10))k ;;
        esac >/dev/null
        place[$1-$number]=$scratch/$1-$number
        mkdir -p "${place[$1-$number]}"
        mount "$disk" "${place[$1-$number]}"
    done
    make_source "${place[$1-0]}/source" $((file_mib << 20))
    dd if="${place[$1-0]}/source" of="${scsi_disks[first]}" bs=1M seek=$((behind >> 11)) conv=notrunc,fsync status=none
}

# ddpt 0.97 sends each of its commands to the same place, which is a mistake in what it copies and not in how long it takes.
tools() { # FUNCTION ROW ROUND
    local blocks=$((file_mib * 2048)) from=${scsi_generic[first]} to=${scsi_generic[first + 1]}
    $1 "$2" sg_xcopy "$3" sg_xcopy if="$from" of="$to" bs=512 count=$blocks skip=$behind seek=$behind
    ! command -v ddpt >/dev/null ||
        $1 "$2" 'ddpt --xcopy' "$3" ddpt if="$from" of="$to" bs=512 count=$blocks bpt=65535 skip=$behind seek=$behind \
            iflag=xcopy oflag=xcopy
}

# With fsync, for the tools have it all on the disk when they end.
files_dd() { # PRELOAD FS [OPTION]
    env LD_PRELOAD="$1" OFFLOAD_REPORT="$report" dd if="${place[$2-0]}/source" of="${place[$2-1]}/target" bs=1M \
        conv=fsync"${3-}" status=none
}

# The file as one range, which the program never reads: copy_file_range(2) and fsync(2), by their numbers.
files_range() { # FS
    # shellcheck disable=SC2016 # the names are Perl's
    env LD_PRELOAD="$library" OFFLOAD_REPORT="$report" perl -e '
        open my $source, "<", $ARGV[0] or die;
        sysopen my $target, $ARGV[1], 01 | 0100 or die;
        for (my $left = -s $source; $left > 0;) {
            my $n = syscall 326, fileno $source, 0, fileno $target, 0, $left, 0;
            die if $n <= 0;
            $left -= $n;
        }
        syscall 74, fileno $target' "${place[$1-0]}/source" "${place[$1-1]}/target"
}

warm_one() { # FS ROW WAY...
    cat "${place[$1-0]}/source" >/dev/null
    one "${@:2}"
}

# Compared once, which takes longer than all that is measured in a round.
is_copied() { # FS ROUND
    assert_reported offloaded $((file_mib << 20))
    [ "$2" = 0 ] || return 0
    drop_caches
    assert_same "${place[$1-0]}/source" "${place[$1-1]}/target"
}

# Where it is to be new, the target is not there.
prepare() { # FS OPTION
    [ -n "$2" ] || rm -f "${place[$1-1]}/target"
    rm -f "$report"
}

# FUNCTION: as one(), with what the source is to be.
in_turn() { # FS ROW OPTION FUNCTION...
    local fs=$1 row=$2 option=$3 round
    shift 3
    for ((round = 0; round <= rounds; round++)); do
        tools one "$row" $round
        prepare "$fs" "$option"
        "$@" "$row" plain $round files_dd '' "$fs" "$option"
        prepare "$fs" "$option"
        "$@" "$row" offload $round files_dd "$library" "$fs" "$option"
        is_copied "$fs" $round
        prepare "$fs" "$option"
        "$@" "$row" 'offload, copy_file_range' $round files_range "$fs"
        is_copied "$fs" $round
        "$@" "$row" 'dd that only reads' $round dd if="${place[$fs-0]}/source" of=/dev/null bs=1M status=none
    done
}

files() { # FS [WHAT DISKS]
    local fs=$1 about=$1${2-}
    make_file_systems "$1"
    tr '[:lower:]' '[:upper:]' <"${place[$fs-0]}/source" >"${place[$fs-1]}/target"
    in_turn "$fs" "$file_mib MiB, over a file, $about, source in memory" ,notrunc warm_one "$fs"
    in_turn "$fs" "$file_mib MiB, over a file, $about, source not in memory" ,notrunc one_cold
    if gives_written_blocks "${place[$fs-1]}"; then
        in_turn "$fs" "$file_mib MiB, a new file, $about, source in memory" '' warm_one "$fs"
        in_turn "$fs" "$file_mib MiB, a new file, $about, source not in memory" '' one_cold
    fi
    umount "${place[$fs-0]}" "${place[$fs-1]}"
}

# Two more disks, of which each piece that is read or written takes so long: what a copy costs is then their time above all.
make_slow_disks() { # MILLISECONDS
    local number loop
    modprobe -a loop dm_delay
    blkdiscard "${scsi_disks[0]}" && blkdiscard "${scsi_disks[1]}"
    for number in 2 3; do
        truncate -s $((940 << 20)) "$scratch/memory/lun$number"
        loop=$(losetup --show -f "$scratch/memory/lun$number")
        dmsetup create paced$number --table "0 $((940 << 11)) delay $loop 0 $1" && dmsetup mknodes
        # After the target has given them back.
        at_end=("losetup -d $loop" "dmsetup remove paced$number" "${at_end[@]}")
        make_lun_of $number /dev/mapper/paced$number
    done
    first=2
}

# The target's files are in the guest's memory, so that what is measured is no disk of this machine.
in_memory() {
    local number
    mount -t tmpfs -o size=80% lab-luns "$1"
    for number in 0 1; do
        ln -s "$1/lun$number" "$scratch/lun$number"
    done
}

plan 5
mkdir "$scratch/memory"
in_memory "$scratch/memory"
need_scsi $((940 << 20)) || fail "no SCSI disks"
need_nvme || fail "no NVMe drive"
verdict "SCSI" scsi
verdict "NVMe" nvme_within
for fs in ext4 xfs; do
    verdict "$file_mib MiB of a file, $fs" files $fs
done
make_slow_disks 4
verdict "$file_mib MiB of a file, ext4, slow disks" files ext4 ", slow disks"
