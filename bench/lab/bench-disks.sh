#!/bin/bash
# In the guest: copies between disks that copy by themselves, by the tools that ask them, by dd, and by the library where
# it can. Lines that begin with "bench:" are values for bench/array.sh: ROW, WAY, ROUND, SECONDS, BYTES.
# shellcheck source-path=SCRIPTDIR/../../tests/lab source-path=SCRIPTDIR/../../tests source=guest.sh
. "$(dirname "$0")/../guest.sh"
# limit: 1200

mib=64
rounds=3

sectors_moved() { # DISK...
    local disk
    for disk in "$@"; do
        cat "/sys/block/$(basename "$disk")/stat"
    done | awk '{ moved += $3 + $7 } END { print moved * 512 }'
}

one() { # ROW WAY ROUND COMMAND...
    local row=$1 way=$2 round=$3 before bytes began took
    shift 3
    drop_caches
    before=$(sectors_moved "${disks[@]}")
    began=$(date +%s%N)
    "$@" >"$scratch/log" 2>&1 || fail "$*: $(tail -n 3 "$scratch/log")"
    took=$(($(date +%s%N) - began))
    bytes=$(($(sectors_moved "${disks[@]}") - before))
    [ "$round" -eq 0 ] || printf 'bench:\t%s\t%s\t%s\t%s\t%s\n' "$row" "$way" "$round" \
        "$(awk -v ns=$took 'BEGIN { printf "%.6f", ns / 1e9 }')" $bytes
}

by_dd() { # PRELOAD FROM TO
    env LD_PRELOAD="$1" dd if="$2" of="$3" bs=1M count=$mib conv=fsync status=none
}

scsi() {
    local round row="from one SCSI disk to another"
    disks=("${scsi_disks[@]}")
    for ((round = 0; round <= rounds; round++)); do
        one "$row" plain $round by_dd '' "${scsi_disks[@]}"
        one "$row" offload $round by_dd "$library" "${scsi_disks[@]}"
        one "$row" sg_xcopy $round sg_xcopy if="${scsi_generic[0]}" of="${scsi_generic[1]}" bs=512 count=$((mib * 2048))
        ! command -v ddpt >/dev/null || one "$row" 'ddpt --xcopy' $round ddpt if="${scsi_generic[0]}" \
            of="${scsi_generic[1]}" bs=512 count=$((mib * 2048)) iflag=xcopy oflag=xcopy
    done
}

nvme_within() {
    local round row="within one NVMe drive" blocks=$((mib * 2048))
    disks=("$nvme_disk")
    for ((round = 0; round <= rounds; round++)); do
        one "$row" plain $round dd if="$nvme_disk" of="$nvme_disk" bs=1M count=$mib seek=512 conv=fsync,notrunc
        one "$row" offload $round env LD_PRELOAD="$library" dd if="$nvme_disk" of="$nvme_disk" bs=1M count=$mib \
            seek=512 conv=fsync,notrunc
        one "$row" 'nvme copy' $round nvme_copies $blocks
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

plan 2
# shellcheck disable=SC2119
need_scsi || fail "no SCSI disks"
need_nvme || fail "no NVMe drive"
verdict "SCSI" scsi
verdict "NVMe" nvme_within
